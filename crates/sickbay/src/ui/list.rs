//! Lists: written as they come where the format allows, else at the end.

use std::io;

use comfy_table::{Table, presets};
use serde_json::Value;

use super::clean::clean_line;
use super::{Format, Ui};

/// A column of a table.
pub(crate) struct Column {
    /// Its heading.
    pub(crate) title: &'static str,
    /// What a row shows in it.
    pub(crate) cell: fn(&Value) -> String,
}

/// A list that is being written.
pub(crate) struct List<'a> {
    ui: &'a Ui,
    columns: &'static [Column],
    name: &'static str,
    kept: Vec<Value>,
    has_header: bool,
}

impl<'a> List<'a> {
    pub(super) const fn new(ui: &'a Ui, columns: &'static [Column], name: &'static str) -> Self {
        Self {
            ui,
            columns,
            name,
            kept: Vec::new(),
            has_header: false,
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// See [`Ui::line`].
    pub(crate) fn push(&mut self, row: Value) -> io::Result<()> {
        match self.ui.format() {
            Format::Jsonl => self.ui.value(&row),
            Format::Name => self.ui.name(&row, self.name),
            Format::Csv => {
                self.csv_header()?;
                self.ui.record(cells(self.columns, &row))
            }
            Format::Table | Format::Json | Format::Yaml => {
                self.kept.push(row);
                Ok(())
            }
        }
    }

    fn csv_header(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        let titles = self.columns.iter().map(|it| it.title.to_owned());
        self.ui.record(titles.collect())
    }

    /// Writes what has not been written yet.
    ///
    /// # Errors
    /// See [`Ui::line`].
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.ui.format() {
            Format::Jsonl | Format::Name => Ok(()),
            Format::Csv => self.csv_header(),
            Format::Json | Format::Yaml => self.ui.value(&Value::from(self.kept)),
            Format::Table => self.ui.line(&table(self.columns, &self.kept)),
        }
    }
}

fn cells(columns: &[Column], row: &Value) -> Vec<String> {
    columns.iter().map(|it| (it.cell)(row)).collect()
}

/// Cells in a row of the terminal that stdout is; `None` if it is none.
pub(super) fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

fn table(columns: &[Column], rows: &[Value]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|it| it.title));
    for row in rows {
        table.add_row(cells(columns, row).iter().map(|it| clean_line(it)));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::cell;
    use super::*;

    const COLUMNS: &[Column] = &[
        Column {
            title: "ID",
            cell: |row| cell(row, "Id"),
        },
        Column {
            title: "STATE",
            cell: |row| cell(row, "State"),
        },
    ];

    #[test]
    fn a_name_cannot_add_a_row() {
        let rows = [json!({"Id": "a\nb  online\u{1b}[A\u{202e}", "State": "ok"})];
        let text = table(COLUMNS, &rows);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn a_table_has_headings_and_aligned_columns() {
        let rows = [json!({"Id": "longer", "State": "ok"}), json!({"Id": "b"})];
        let text = table(COLUMNS, &rows);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0].find("STATE"), lines[1].find("ok"), "{text}");
        assert!(lines[2].trim() == "b", "{text}");
    }
}
