//! Columns for people: as wide as they must be, cut where they may, coloured by status on a terminal.

use anstyle::{AnsiColor, Color, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::out::{Data, plain};
use crate::domain::{Status, StatusCounts};
use crate::federation::{Report, Row};
use crate::wire::Linker;

/// A wider cell is cut, with a mark.
const WIDEST: usize = 40;

/// What is asked for decides the columns: a list to compare, or the way to one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Columns {
    /// `search`: groups and modules.
    Compare,
    /// `where`: the console's link, last and never cut: it is there to be opened.
    Open,
}

const COLUMNS: usize = 6;

const COMPARE: [&str; COLUMNS] = ["STATUS", "SITE", "AGENT", "ADDRESS", "GROUPS", "MODULES"];
const OPEN: [&str; COLUMNS] = ["STATUS", "SITE", "AGENT", "ADDRESS", "OS", "CONSOLE"];

/// Writes the rows; gives the sentence to say behind them.
pub(super) fn write(report: &Report, columns: Columns, linker: &dyn Linker, data: &mut Data) -> Option<String> {
    let head = if columns == Columns::Open { OPEN } else { COMPARE };
    let rows: Vec<[String; COLUMNS]> = report.rows.iter().map(|row| cells(row, columns, linker)).collect();
    let widths: Vec<usize> = (0..COLUMNS).map(|column| width(&rows, head, column)).collect();
    if !rows.is_empty() {
        data.write(format_args!("{}\n", line(&head.map(str::to_owned), &widths, Style::new().bold())));
    }
    for (row, cells) in report.rows.iter().zip(&rows) {
        data.write(format_args!("{}\n", line(cells, &widths, colour(row.hit.agent.status))));
    }
    let record = report.completeness();
    if record.ok + record.stale == 0 {
        // That nobody answered is said apart; "nothing found" would sound like news.
        return None;
    }
    let all = report.total;
    Some(match (report.rows.len(), all) {
        (_, 0) => "no agent found".to_owned(),
        (1, 1) => "1 agent".to_owned(),
        (shown, all) if shown == all => format!("{all} agents"),
        (shown, all) => format!("the best {shown} of {all} agents; --limit shows more"),
    })
}

fn cells(row: &Row, columns: Columns, linker: &dyn Linker) -> [String; COLUMNS] {
    let agent = &row.hit.agent;
    let stale = if row.stale { " (stale)" } else { "" };
    let (fifth, last) = match columns {
        Columns::Compare => (agent.groups.join(", "), modules(agent.modules)),
        Columns::Open => {
            let link = linker.console(&row.site, &agent.id);
            (agent.os.clone(), link.map(String::from).unwrap_or_default())
        }
    };
    [
        format!("{}{stale}", agent.status.as_str()),
        row.site.to_string(),
        cut(&plain(&agent.alias)),
        cut(&plain(&agent.address)),
        cut(&plain(&fifth)),
        plain(&last),
    ]
}

/// `2 critical, 5 normal`, worst first.
fn modules(counts: StatusCounts) -> String {
    let each = [
        (counts.critical, "critical"),
        (counts.warning, "warning"),
        (counts.unknown, "unknown"),
        (counts.normal, "normal"),
        (counts.not_init, "not_init"),
    ];
    let shown: Vec<_> = each.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

fn colour(status: Status) -> Style {
    let colour = match status {
        Status::Critical => AnsiColor::Red,
        Status::Warning => AnsiColor::Yellow,
        Status::Unknown => AnsiColor::BrightBlack,
        Status::Normal => AnsiColor::Green,
        Status::NotInit => AnsiColor::Blue,
    };
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

fn width(rows: &[[String; COLUMNS]], head: [&str; COLUMNS], column: usize) -> usize {
    let head = head.get(column).map_or(0, |head| head.width());
    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0).max(head)
}

/// The first cell in the colour, the others padded behind it.
fn line(cells: &[String; COLUMNS], widths: &[usize], style: Style) -> String {
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let padding = widths.get(column).map_or(0, |width| width.saturating_sub(cell.width()));
        if column == 0 {
            line.push_str(&format!("{style}{cell}{style:#}"));
        } else {
            line.push_str(cell);
        }
        if column + 1 < COLUMNS {
            line.extend(std::iter::repeat_n(' ', padding + 2));
        }
    }
    line
}

fn cut(text: &str) -> String {
    if text.width() <= WIDEST {
        return text.to_owned();
    }
    let mut left = WIDEST - 1;
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_by_what_they_take_on_the_screen() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(41)).width(), 40);
        assert_eq!(cut(&"日".repeat(30)).width(), 39);
    }

    #[test]
    fn counts_read_worst_first() {
        let counts = StatusCounts { critical: 1, normal: 4, ..StatusCounts::default() };
        assert_eq!(modules(counts), "1 critical, 4 normal");
        assert_eq!(modules(StatusCounts::default()), "none");
    }
}
