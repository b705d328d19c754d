//! A run as pictures: SVG, with colours that can be told apart on white and on black.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::record::{Reading, Record, Side};
use super::rows::find;

/// Of words and axes.
const GREY: RGBColor = RGBColor(0x80, 0x88, 0x90);
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What of a reading is drawn.
type Of = fn(&Reading) -> f64;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The pictures of a run, by name of file.
///
/// # Errors
///
/// What the library that draws them says.
pub fn all(record: &Record) -> Result<Vec<(&'static str, String)>, Box<dyn std::error::Error>> {
    let times = draw(760, 560, |area| {
        let panels = area.split_evenly((2, 2));
        for (panel, row) in panels.iter().zip(["cold", "warm", "14th-cold", "14th-warm"]) {
            bars(panel, record, row)?;
        }
        Ok(())
    })?;
    let costs = draw(760, 560, |area| {
        let panels = area.split_evenly((2, 2));
        for (panel, row) in panels.iter().zip(["billed-burst", "memory", "burst-p50", "zip"]) {
            bars(panel, record, row)?;
        }
        Ok(())
    })?;
    let soak = draw(760, 640, |area| {
        let panels = area.split_evenly((3, 1));
        #[allow(clippy::cast_precision_loss, reason = "they are small")]
        let lines_of: [(&str, Of); 3] = [
            ("resident memory, MB", |it| it.rss_kb as f64 * 1024.0 / 1e6),
            ("threads", |it| it.threads as f64),
            ("file descriptors", |it| it.fds as f64),
        ];
        for (panel, (title, of)) in panels.iter().zip(lines_of) {
            lines(panel, record, title, of)?;
        }
        Ok(())
    })?;
    Ok(vec![("times.svg", times), ("costs.svg", costs), ("soak.svg", soak)])
}

fn colour(side: Side) -> RGBColor {
    match side {
        Side::Ours => RGBColor(0x2d, 0xa0, 0x5a),
        Side::Bare => RGBColor(0x8a, 0x94, 0xa0),
        Side::Python => RGBColor(0x3b, 0x8e, 0xd8),
        Side::TypeScript => RGBColor(0xd9, 0x7a, 0x1f),
    }
}

fn draw(
    width: u32,
    height: u32,
    content: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        content(&area)?;
        area.present()?;
    }
    Ok(text)
}

/// A bar for each side, as long as its median, with the number beside it.
fn bars(area: &Area<'_>, record: &Record, key: &str) -> Drawn {
    let Some(row) = find(key) else { return Ok(()) };
    let medians = Side::ALL.map(|side| record.summary(key, side).map(|it| it.median));
    let most = medians.iter().flatten().copied().fold(0.0, f64::max);
    let words = (FONT, 14).into_font().color(&GREY);
    area.draw(&Text::new(format!("{}, {}", row.title, row.unit.name()), (12, 16), words.clone()))?;
    for (number, (side, median)) in (0_i32..).zip(Side::ALL.into_iter().zip(medians)) {
        let top = 48 + number * 52;
        area.draw(&Text::new(side.name(), (12, top), words.clone()))?;
        let (length, shown) = match median {
            #[allow(clippy::cast_possible_truncation, reason = "it is less than the width")]
            Some(median) if most > 0.0 => {
                ((220.0 * median / most).round() as i32, row.unit.show(median))
            }
            _ => (0, "not taken".to_owned()),
        };
        let bar = [(12, top + 18), (12 + length.max(1), top + 34)];
        area.draw(&Rectangle::new(bar, colour(side).filled()))?;
        area.draw(&Text::new(shown, (20 + length.max(1), top + 20), words.clone()))?;
    }
    Ok(())
}

/// A line for each side, over its warm invocations.
#[allow(clippy::cast_precision_loss, reason = "they are few")]
fn lines(area: &Area<'_>, record: &Record, title: &str, of: Of) -> Drawn {
    let readings = record.soak.values();
    let invocations = readings.clone().map(Vec::len).max().unwrap_or_default().max(2) as f64;
    let most = readings.flatten().map(of).fold(1.0, f64::max);
    let words = (FONT, 13).into_font().color(&GREY);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 14).into_font().color(&GREY))
        .margin(8)
        .margin_right(90)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..invocations, 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(GREY)
        .label_style(words)
        .x_desc("warm invocations")
        .x_label_formatter(&|it| format!("{it:.0}"))
        .y_label_formatter(&|it| format!("{it:.0}"))
        .draw()?;
    for (number, (side, readings)) in (0_i32..).zip(&record.soak) {
        let points = readings.iter().enumerate().map(|(at, it)| (at as f64, of(it)));
        chart.draw_series(LineSeries::new(points, colour(*side).stroke_width(2)))?;
        // Beside the lines, not at their ends: they may end in the same place.
        let font = (FONT, 13).into_font().color(&colour(*side));
        area.draw(&Text::new(side.name(), (678, 24 + number * 18), font))?;
    }
    Ok(())
}
