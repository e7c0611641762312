//! One leaf, packed.
//!
//! Owns the form in which a leaf is kept in memory and stored. Never decides what is in it.

use model::{Dispatch, LeafState, Reason, Status, UnixMillis};

/// Where an answer stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The block's number, from 1, counted over all roots. At most [`u32::MAX`] blocks, of up to
    /// [`model::limits::JOURNAL_BLOCK_EVENTS_MAX`] events each; beyond, writing answers `Unavailable`.
    pub(crate) block: u32,
    /// The record's place in the block.
    pub(crate) index: u8,
}

/// A leaf in 14 bytes, which is why it is packed. Its time counts from the start of its root and is
/// never before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, packed(2))]
pub(crate) struct Slot {
    /// In ms. At most [`u32::MAX`], 49.7 days, and later is stored as that: far longer than
    /// [`model::limits::TASK_TIMEOUT_MS_MAX`].
    at: u32,
    block: u32,
    pub(crate) status: Status,
    dispatch: Dispatch,
    reason: Reason,
    index: u8,
    /// Place of its outcome in [`crate::outcome::Outcomes`]; 0 until it has ended.
    pub(crate) outcome: u16,
}

impl Slot {
    /// Length of the stored form.
    pub(crate) const BYTES: usize = 14;

    pub(crate) fn new(
        state: LeafState,
        place: Option<Place>,
        outcome: u16,
        created: UnixMillis,
    ) -> Self {
        Self {
            at: u32::try_from(state.at.since(created).max(0)).unwrap_or(u32::MAX),
            block: place.map_or(0, |it| it.block),
            status: state.status,
            dispatch: state.dispatch,
            reason: state.reason,
            index: place.map_or(0, |it| it.index),
            outcome,
        }
    }

    /// The leaf's state; `created` is the start of its root.
    pub(crate) fn state(self, created: UnixMillis) -> LeafState {
        LeafState {
            status: self.status,
            dispatch: self.dispatch,
            reason: self.reason,
            at: created.plus(i64::from(self.at)),
        }
    }

    /// The same leaf, with its answer at `place`.
    pub(crate) fn placed(self, place: Place) -> Self {
        Self {
            block: place.block,
            index: place.index,
            ..self
        }
    }

    /// Where its answer stands.
    pub(crate) fn place(self) -> Option<Place> {
        (self.block > 0).then_some(Place {
            block: self.block,
            index: self.index,
        })
    }

    /// Appends the stored form.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let dispatch = self.dispatch as u8;
        out.extend_from_slice(&[
            self.status.number(),
            dispatch,
            self.reason.number(),
            self.index,
        ]);
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.block.to_le_bytes());
        out.extend_from_slice(&self.outcome.to_le_bytes());
    }

    /// Reads the stored form.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let [
            status,
            dispatch,
            reason,
            index,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
        ] = *bytes;
        Some(Self {
            at: u32::from_le_bytes([a, b, c, d]),
            block: u32::from_le_bytes([e, f, g, h]),
            status: Status::from_number(status)?,
            dispatch: match dispatch {
                0 => Dispatch::Auto,
                1 => Dispatch::Manual,
                _ => return None,
            },
            reason: Reason::from_number(reason)?,
            index,
            outcome: u16::from_le_bytes([i, j]),
        })
    }

    /// The same leaf without what a crash forgets where the work only reads: whether a node had taken
    /// it, and when.
    pub(crate) fn settled(self) -> Self {
        match self.status {
            Status::Init | Status::Start => Self::default(),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_000);

    #[test]
    fn a_slot_reads_back_from_its_fourteen_bytes() {
        let state = LeafState {
            status: Status::Fail,
            dispatch: Dispatch::Manual,
            reason: Reason::Refused,
            at: UnixMillis(5_000),
        };
        let place = Some(Place {
            block: 77,
            index: 31,
        });
        let slot = Slot::new(state, place, 513, START);
        assert_eq!(size_of::<Slot>(), Slot::BYTES);
        let mut bytes = vec![];
        slot.encode(&mut bytes);
        assert_eq!(bytes.len(), Slot::BYTES);
        let read = Slot::decode(&bytes).unwrap();
        assert_eq!(read.state(START), state);
        assert_eq!(read.place(), place);
        assert_eq!({ read.outcome }, 513);
        assert_eq!(Slot::decode(&bytes[1..]), None);
        let elsewhere = Place { block: 9, index: 1 };
        assert_eq!(read.placed(elsewhere).place(), Some(elsewhere));
        assert_eq!(read.placed(elsewhere).state(START), state);
        bytes[0] = 6;
        assert_eq!(Slot::decode(&bytes), None);
    }
}
