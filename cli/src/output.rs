//! Tables for people, JSON for programs.

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// Emphasis of a heading.
pub(crate) const HEADING: Style = Style::new().bold();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What did not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is beside the point.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Prints a line on stdout. Colours reach terminals only: anstream takes them out elsewhere.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        // A closed pipe (`| head`) is the reader's choice, not an error.
        let _ = writeln!(anstream::stdout(), $($argument)*);
    }};
}

/// Prints a line on stderr.
macro_rules! complain {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(anstream::stderr(), $($argument)*);
    }};
}

pub(crate) use {complain, say};

/// A progress bar on stderr, for people alone: nothing is drawn where stderr is no terminal, or with `--json`. `total`
/// is how many there are, where that is known.
pub(crate) fn progress(total: Option<u64>, doing: &'static str, json: bool) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    // A bar of stderr hides itself where that is no terminal.
    let target = if json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    bar.set_draw_target(target);
    let form = match total {
        Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
        None => "{spinner} {msg} {human_pos} {per_sec}",
    };
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(doing)
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &Value) {
    say!("{value:#}");
}

/// Prints a table; columns keep to the width of the terminal.
pub(crate) fn print_table(headings: &[&str], rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        say!("{DIM}none{DIM:#}");
        return;
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings.iter().map(|heading| heading.to_uppercase()))
        .add_rows(rows);
    for line in table.lines() {
        // The table pads each cell by one blank on either side.
        say!("{}", line.strip_prefix(' ').unwrap_or(&line).trim_end());
    }
}

/// Text of a JSON value as a person reads it: strings without quotes.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
