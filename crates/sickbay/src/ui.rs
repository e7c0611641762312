//! The only place that prints. Data goes to stdout, talk to stderr.
//!
//! Without `-o`, a terminal gets tables and a pipe gets JSON lines. Text of hosts and servers is cleaned before a terminal sees it, in
//! every format. A reader that hangs up ends the program quietly.

mod clean;
mod list;
mod text;

use std::io::{self, ErrorKind, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

pub(crate) use clean::{clean_line, without_tabs, wrap};
pub(crate) use list::{Column, List};
pub(crate) use text::{cell, count, time};

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// One YAML document.
    Yaml,
    /// The table's columns, RFC 4180; a cell that begins with =, +, -, @ or a tab has a ' before it.
    Csv,
    /// One id or name per line.
    Name,
}

/// The person or program in front of it.
pub(crate) struct Ui {
    format: Format,
    is_terminal: bool,
}

impl Ui {
    /// Writes in `format`, or as suits what stdout is.
    pub(crate) fn new(format: Option<Format>) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let usual = if is_terminal {
            Format::Table
        } else {
            Format::Jsonl
        };
        Self {
            format: format.unwrap_or(usual),
            is_terminal,
        }
    }

    /// How data is written.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// How many entries of a list are asked for when nobody said how many: a screenful or two for a person, all for a program.
    pub(crate) fn limit(&self, asked: Option<usize>) -> usize {
        match asked {
            Some(0) => usize::MAX,
            Some(limit) => limit,
            None if self.is_terminal => 100,
            None => usize::MAX,
        }
    }

    /// Cells in a row of the terminal that data is shown on; `None` if it is shown on none.
    pub(crate) fn width(&self) -> Option<usize> {
        list::terminal_width()
    }

    /// Writes lines for a person. What hosts and servers say in them has been cleaned as lines before.
    ///
    /// # Errors
    /// The reader has hung up, or the disk is full.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.write(&clean::clean(text))
    }

    /// Writes lines for a person that have colours, and so are written as they are.
    ///
    /// # Errors
    /// See [`Ui::line`].
    pub(crate) fn painted(&self, text: &str) -> io::Result<()> {
        self.write(text)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Writes the member `name`, which names `row`. It is one line everywhere: it names one thing.
    fn name(&self, row: &Value, name: &str) -> io::Result<()> {
        self.write(&clean_line(&cell(row, name)))
    }

    fn record(&self, mut cells: Vec<String>) -> io::Result<()> {
        if self.is_terminal {
            cells.iter_mut().for_each(|it| *it = clean_line(it));
        }
        self.write(&text::csv(&cells))
    }

    /// Says one line. Nobody listening is no reason to stop.
    pub(crate) fn say(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{}", clean_line(text)));
    }

    /// Says why a command could not be carried out, in one line.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.say(&format!("error: {error:#}"));
    }

    /// Writes one object: `table` makes what a person sees, `name` is the member that names it.
    ///
    /// # Errors
    /// See [`Ui::line`].
    pub(crate) fn object(
        &self,
        value: &Value,
        name: &str,
        table: impl FnOnce() -> String,
    ) -> io::Result<()> {
        match self.format {
            Format::Table => self.line(table().trim_end()),
            Format::Name => self.name(value, name),
            Format::Csv => {
                let members = value.as_object().into_iter().flatten();
                let (names, cells): (Vec<_>, Vec<_>) = members
                    .map(|(name, _)| (name.clone(), cell(value, name)))
                    .unzip();
                self.record(names)?;
                self.record(cells)
            }
            Format::Json | Format::Jsonl | Format::Yaml => self.value(value),
        }
    }

    /// Writes any JSON value; as JSON where the format has no way to.
    ///
    /// # Errors
    /// See [`Ui::line`].
    pub(crate) fn value(&self, value: &Value) -> io::Result<()> {
        match self.format {
            Format::Jsonl => self.write(&clean::escape(&value.to_string())),
            Format::Yaml => self.write(text::yaml(value).trim_end()),
            Format::Table | Format::Json | Format::Csv | Format::Name => {
                self.write(&clean::escape(&format!("{value:#}")))
            }
        }
    }

    /// Starts a list.
    pub(crate) const fn list(&self, columns: &'static [Column], name: &'static str) -> List<'_> {
        List::new(self, columns, name)
    }

    /// A progress bar over `total` hosts on stderr; invisible unless that is a terminal.
    pub(crate) fn progress(&self, total: u32) -> ProgressBar {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(u64::from(total)), target);
        match ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {pos}/{len} {wide_msg}") {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        }
    }
}

/// Whether the only trouble is that the reader has hung up.
pub(crate) fn is_hang_up(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|it| it.kind() == ErrorKind::BrokenPipe)
}

/// The members of an object, one per line, for a person. Empty ones and lists of objects are left out.
pub(crate) fn pairs(value: &Value) -> String {
    let members = value.as_object().into_iter().flatten();
    let rows: Vec<(&str, String)> = members
        .map(|(name, _)| (name.as_str(), cell(value, name)))
        .filter(|(_, cell)| !cell.is_empty())
        .collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, cell)| format!("{name:width$}  {}\n", clean_line(cell)))
        .collect()
}
