//! A terminal's screen as a picture, and the text of such a picture.

use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

const FONT_SIZE: f32 = 13.0;
const CELL: (f32, f32) = (7.8, 18.0);
const MARGIN: f32 = 16.0;
/// The bar with the title.
const BAR: f32 = 34.0;

/// Characters next to each other that look the same.
struct Run {
    column: usize,
    look: Look,
    text: String,
}

#[derive(Clone, Copy, PartialEq)]
struct Look {
    colour: &'static str,
    bold: bool,
}

/// The screen as SVG: a line of the file for each row.
pub(crate) fn picture(screen: &Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let cells = |row| (0..columns.get()).filter_map(move |column| screen.cell(row, column));
    let rows: Vec<_> = (0..rows.get()).map(|row| runs(cells(row))).collect();
    let used = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
    let (width, height) =
        (2.0 * MARGIN + f32::from(columns.get()) * CELL.0, BAR + MARGIN + used as f32 * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" font-size=\"{FONT_SIZE}\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (number, colour) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        let x = 20 + 18 * number;
        writeln!(svg, "<circle cx=\"{x}\" cy=\"18\" r=\"5.5\" fill=\"{colour}\"/>").unwrap();
    }
    let (middle, title) = (width / 2.0, escaped(title));
    writeln!(
        svg,
        "<text x=\"{middle:.1}\" y=\"22\" text-anchor=\"middle\" fill=\"#8b949e\">{title}</text>"
    )
    .unwrap();
    for (number, row) in rows[..used].iter().enumerate() {
        svg.push_str(&line(row, BAR + (number as f32 + 0.8) * CELL.1));
    }
    svg.push_str("</svg>\n");
    svg
}

/// The rows of a picture that [`picture`] made, without its title and with single spaces.
pub(crate) fn rows(svg: &str) -> Vec<String> {
    let rows = svg.lines().filter(|line| line.starts_with("<text xml:space"));
    rows.map(|row| {
        let mut text = String::new();
        for part in row.split('<') {
            text.push_str(part.split_once('>').map_or("", |(_, text)| text));
            text.push(' ');
        }
        let words: Vec<_> = text.split_whitespace().collect();
        words.join(" ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    })
    .collect()
}

fn runs<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (column, cell) in cells.enumerate() {
        let (look, text) = (look(cell), if cell.has_contents() { cell.contents() } else { " " });
        match runs.last_mut().filter(|run| run.look == look) {
            Some(run) => run.text.push_str(text),
            None => runs.push(Run { column, look, text: text.to_owned() }),
        }
    }
    for run in &mut runs {
        run.column += run.text.len() - run.text.trim_start().len();
        run.text = run.text.trim().to_owned();
    }
    runs.retain(|run| !run.text.is_empty());
    runs
}

fn look(cell: &Cell) -> Look {
    let colour = match cell.fgcolor() {
        Color::Idx(1) => "#ff7b72",
        Color::Idx(2) => "#7ee787",
        Color::Idx(3) => "#e3b341",
        Color::Idx(6) => "#79c0ff",
        _ if cell.dim() => "#7d8590",
        _ if cell.bold() => "#f0f6fc",
        _ => "#c9d1d9",
    };
    Look { colour, bold: cell.bold() }
}

/// Each run is as wide as its cells are, whatever font there is.
fn line(row: &[Run], y: f32) -> String {
    let mut line = format!("<text xml:space=\"preserve\" y=\"{y:.1}\">");
    for Run { column, look: Look { colour, bold }, text } in row {
        let (x, width) = (MARGIN + *column as f32 * CELL.0, text.chars().count() as f32 * CELL.0);
        let weight = if *bold { " font-weight=\"bold\"" } else { "" };
        write!(
            line,
            "<tspan x=\"{x:.1}\" textLength=\"{width:.1}\" fill=\"{colour}\"{weight}>{}</tspan>",
            escaped(text)
        )
        .unwrap();
    }
    line + "</text>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
