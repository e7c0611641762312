//! How an event is written: three bytes.
//!
//! Owns the numbers of the events and verdicts. They are stored: append only.

use model::{Event, Reason, Verdict};

use crate::Error;

/// Code, verdict and reason.
pub(super) const fn encode(event: Event) -> [u8; 3] {
    let code = match event {
        Event::Taken => 1,
        Event::TakenBack => 2,
        Event::Delivered => 3,
        Event::ManualIssued => 4,
        Event::Ended { verdict, reason } => {
            let verdict = match verdict {
                Verdict::Success => 1,
                Verdict::Fail => 2,
                Verdict::Timeout => 3,
            };
            return [5, verdict, reason.number()];
        }
        Event::CancelAsked => 6,
        Event::CancelOverdue => 7,
        Event::DeadlinePassed => 8,
        Event::DeadlineOverdue => 9,
        Event::Stopped => 10,
    };
    [code, 0, Reason::None.number()]
}

/// The event of these three bytes.
///
/// # Errors
/// [`Error::Corrupt`] if a number is unknown.
pub(super) fn decode([code, verdict, reason]: [u8; 3]) -> Result<Event, Error> {
    let unknown = |what, number| Error::Corrupt(format!("{what} {number} in the journal"));
    Ok(match code {
        1 => Event::Taken,
        2 => Event::TakenBack,
        3 => Event::Delivered,
        4 => Event::ManualIssued,
        5 => Event::Ended {
            verdict: match verdict {
                1 => Verdict::Success,
                2 => Verdict::Fail,
                3 => Verdict::Timeout,
                _ => return Err(unknown("verdict", verdict)),
            },
            reason: Reason::from_number(reason).ok_or_else(|| unknown("reason", reason))?,
        },
        6 => Event::CancelAsked,
        7 => Event::CancelOverdue,
        8 => Event::DeadlinePassed,
        9 => Event::DeadlineOverdue,
        10 => Event::Stopped,
        _ => return Err(unknown("event", code)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_reads_back_and_unknown_numbers_are_damage() {
        let ended = [Verdict::Success, Verdict::Fail, Verdict::Timeout]
            .into_iter()
            .flat_map(|verdict| {
                let reasons = Reason::ALL.iter();
                reasons.map(move |reason| Event::Ended {
                    verdict,
                    reason: *reason,
                })
            });
        let others = [
            Event::Taken,
            Event::TakenBack,
            Event::Delivered,
            Event::ManualIssued,
            Event::CancelAsked,
            Event::CancelOverdue,
            Event::DeadlinePassed,
            Event::DeadlineOverdue,
            Event::Stopped,
        ];
        for event in ended.chain(others) {
            assert_eq!(decode(encode(event)).unwrap(), event);
        }
        for bad in [[0, 0, 0], [11, 0, 0], [5, 4, 0], [5, 1, 255]] {
            assert!(matches!(decode(bad), Err(Error::Corrupt(_))), "{bad:?}");
        }
    }
}
