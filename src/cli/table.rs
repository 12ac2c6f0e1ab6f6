//! Columns for people: as wide as they must be, cut where they may, coloured by status on a terminal.

use anstyle::{AnsiColor, Color, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::out::{Data, plain};
use crate::domain::{ModuleCounts, Status};
use crate::federation::{Report, Row};
use crate::wire::Linker;

/// A wider cell is cut, with a mark.
const WIDEST: usize = 40;

const HEAD: [&str; 7] = [
    "STATUS", "SITE", "AGENT", "ADDRESS", "GROUPS", "MODULES", "CONSOLE",
];

/// The console's link is last and never cut: it is there to be opened.
const LINK: usize = 6;

pub(super) fn write(report: &Report, linker: &dyn Linker, data: &mut Data) {
    let rows: Vec<[String; 7]> = report.rows.iter().map(|row| cells(row, linker)).collect();
    let widths: Vec<usize> = (0..LINK).map(|column| width(&rows, column)).collect();
    if !rows.is_empty() {
        data.write(format_args!(
            "{}\n",
            line(&HEAD.map(str::to_owned), &widths, Style::new().bold())
        ));
    }
    for (row, cells) in report.rows.iter().zip(&rows) {
        data.write(format_args!(
            "{}\n",
            line(cells, &widths, colour(row.hit.agent.status))
        ));
    }
    let all = report.total;
    let words = match (report.rows.len(), all) {
        (_, 0) => "no agent found".to_owned(),
        (1, 1) => "1 agent".to_owned(),
        (shown, all) if shown == all => format!("{all} agents"),
        (shown, all) => format!("the best {shown} of {all} agents; --limit shows more"),
    };
    super::out::say(words);
}

fn cells(row: &Row, linker: &dyn Linker) -> [String; 7] {
    let agent = &row.hit.agent;
    let link = linker
        .console(&row.site, &agent.id)
        .map(String::from)
        .unwrap_or_default();
    let stale = if row.stale { " (stale)" } else { "" };
    [
        format!("{}{stale}", agent.status.as_str()),
        row.site.to_string(),
        cut(&plain(&agent.alias)),
        cut(&plain(&agent.address)),
        cut(&plain(&agent.groups.join(", "))),
        modules(agent.modules),
        link,
    ]
}

/// `2 critical, 5 normal`, worst first.
fn modules(counts: ModuleCounts) -> String {
    let each = [
        (counts.critical, "critical"),
        (counts.warning, "warning"),
        (counts.unknown, "unknown"),
        (counts.normal, "normal"),
        (counts.not_init, "not_init"),
    ];
    let shown: Vec<_> = each
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if shown.is_empty() {
        "none".to_owned()
    } else {
        shown.join(", ")
    }
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

fn width(rows: &[[String; 7]], column: usize) -> usize {
    let head = HEAD.get(column).map_or(0, |head| head.width());
    rows.iter()
        .filter_map(|row| row.get(column))
        .map(|cell| cell.width())
        .max()
        .unwrap_or(0)
        .max(head)
}

/// The first cell in the colour, the others padded behind it.
fn line(cells: &[String; 7], widths: &[usize], style: Style) -> String {
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let padding = widths
            .get(column)
            .map_or(0, |width| width.saturating_sub(cell.width()));
        if column == 0 {
            line.push_str(&format!("{style}{cell}{style:#}"));
        } else {
            line.push_str(cell);
        }
        if column < LINK {
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
        let counts = ModuleCounts {
            critical: 1,
            normal: 4,
            ..ModuleCounts::default()
        };
        assert_eq!(modules(counts), "1 critical, 4 normal");
        assert_eq!(modules(ModuleCounts::default()), "none");
    }
}
