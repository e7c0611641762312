//! Outcomes of a root: counted in memory while it runs, stored when it ends.
//!
//! Owns the table of the outcomes of finished roots. Never decides what an outcome is.

use model::{OutcomeId, RootId};

use super::db::{Db, Value, params};
use super::segment;
use super::task::{self, View};
use crate::outcome::Outcome;
use crate::{Error, OutcomeGroup};

/// A root's number is shifted by this in an outcome's number: 1,023 places.
pub(super) const OUTCOME_BITS: u32 = 10;

/// Writes the outcomes of a root that ends.
pub(super) fn write(tx: &dyn Db, root: i64, outcomes: &[Outcome]) -> Result<(), Error> {
    let values: Vec<_> = ((root << OUTCOME_BITS) + 1..)
        .zip(outcomes)
        .flat_map(|(number, it)| {
            [
                Value::from(number),
                it.id.as_bytes().into(),
                (&*it.label).into(),
                it.count.into(),
                it.first.into(),
            ]
        })
        .collect();
    let columns = ["outcome", "id", "label", "count", "first"];
    tx.insert_many("outcome", &columns, &values)
}

/// The outcomes of a finished root, by place.
pub(super) fn read(tx: &dyn Db, root: i64) -> Result<Vec<Outcome>, Error> {
    tx.rows(
        "SELECT id, label, count, first FROM outcome WHERE outcome BETWEEN ? AND ? ORDER BY outcome",
        params![root << OUTCOME_BITS, ends(root)],
        |row| {
            Ok(Outcome {
                id: OutcomeId::from_bytes(row.get(0)?),
                label: row.get::<String>(1)?.into(),
                count: row.get(2)?,
                first: row.get(3)?,
            })
        },
    )
}

/// Place, count and first leaf of one outcome of a finished root.
pub(super) fn find(
    tx: &dyn Db,
    root: i64,
    id: OutcomeId,
) -> Result<Option<(u16, u32, u32)>, Error> {
    tx.row(
        "SELECT outcome, count, first FROM outcome WHERE outcome BETWEEN ? AND ? AND id = ?",
        params![root << OUTCOME_BITS, ends(root), id.as_bytes()],
        |row| {
            let place = row.get::<i64>(0)? - (root << OUTCOME_BITS);
            Ok((u16::try_from(place).unwrap_or(0), row.get(1)?, row.get(2)?))
        },
    )
}

const fn ends(root: i64) -> i64 {
    (root << OUTCOME_BITS) | ((1 << OUTCOME_BITS) - 1)
}

impl View<'_> {
    /// See [`crate::Store::outcome_list`].
    pub(super) fn outcome_list(self, root: RootId) -> Result<Vec<OutcomeGroup>, Error> {
        let group = |outcome: &Outcome, host| OutcomeGroup {
            id: outcome.id,
            label: outcome.label.as_ref().to_owned(),
            count: outcome.count,
            sample: root.leaf(outcome.first),
            host,
        };
        let mut groups = Vec::new();
        if let Some(fold) = self.active.find(root) {
            let all = fold.outcomes.all().iter();
            groups.extend(all.filter_map(|it| Some(group(it, fold.host(it.first)?))));
        } else if let Some(row) =
            task::find(self.tx, root)?.filter(|it| it.no <= self.active.no_max())
        {
            self.active.check(row.no, root)?;
            for outcome in read(self.tx, row.no)? {
                let hosts = segment::read_hosts(self.tx, row.no, outcome.first, outcome.first)?;
                groups.extend(hosts.first().map(|host| group(&outcome, *host)));
            }
        }
        groups.sort_by(|a, b| (b.count, a.sample).cmp(&(a.count, b.sample)));
        Ok(groups)
    }
}
