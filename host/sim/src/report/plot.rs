//! A plot as SVG, drawn by plotters.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        cartesian::Cartesian2d,
        ranged1d::{Ranged, ValueFormatter},
    },
    prelude::*,
};

use super::curves::{Curve, Plot};
use crate::number;

/// Width and height in CSS pixels.
const SIZE: (u32, u32) = (640, 360);

/// An axis whose greatest number is so many times its least is drawn in powers of ten.
const DECADES: f64 = 50.0;

/// Colours that people tell apart who see few (Okabe and Ito 2008); beyond the last they start again, with other marks.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
];

/// Where an axis begins and ends, and whether in powers of ten.
struct Axis {
    range: Range<f64>,
    powers: bool,
}

/// The colour and the mark of the curve at a place, for plot and legend: CSS and a character.
pub(super) fn look(place: usize) -> (String, char) {
    let RGBColor(red, green, blue) = COLOURS[place % COLOURS.len()];
    (format!("rgb({red},{green},{blue})"), ['●', '▲', '✕'][mark(place)])
}

fn mark(place: usize) -> usize {
    (place + place / COLOURS.len()) % 3
}

/// Draws it. The legend is the page's.
///
/// # Errors
/// What plotters says.
pub(super) fn svg(plot: &Plot) -> Result<String, String> {
    let points = || plot.curves.iter().flat_map(|curve| &curve.points);
    let across = axis(points().map(|point| point.x), false);
    let up = axis(points().flat_map(|point| [Some(point.y), point.interval.map(|ends| ends[1])]).flatten(), true);
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
    let drawn = match (across.powers, up.powers) {
        (false, false) => draw(&area, across.range, up.range, plot),
        (true, false) => draw(&area, across.range.log_scale(), up.range, plot),
        (false, true) => draw(&area, across.range, up.range.log_scale(), plot),
        (true, true) => draw(&area, across.range.log_scale(), up.range.log_scale(), plot),
    };
    drawn.and_then(|()| area.present()).map_err(|error| error.to_string())?;
    drop(area);
    Ok(text)
}

/// The range of numbers, a little wider than they are. `zero`: it begins with zero, where none is below and it is not in powers.
fn axis(numbers: impl Iterator<Item = f64>, zero: bool) -> Axis {
    let (low, high) = numbers.fold((f64::MAX, f64::MIN), |(low, high), number| (low.min(number), high.max(number)));
    if low > 0.0 && high / low >= DECADES {
        return Axis { range: low / 1.3..high * 1.3, powers: true };
    }
    let low = if zero { low.min(0.0) } else { low };
    let margin = if high > low { (high - low) * 0.05 } else { high.abs().max(1.0) * 0.5 };
    Axis { range: if zero && low == 0.0 { 0.0 } else { low - margin }..high + margin, powers: false }
}

type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a, X, Y>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    across: impl plotters::coord::ranged1d::AsRangedCoord<CoordDescType = X, Value = f64>,
    up: impl plotters::coord::ranged1d::AsRangedCoord<CoordDescType = Y, Value = f64>,
    plot: &Plot,
) -> Result<(), Failure<'a>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    area.fill(&WHITE)?;
    let mut chart =
        ChartBuilder::on(area).margin(12).x_label_area_size(52).y_label_area_size(88).build_cartesian_2d(across, up)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .x_labels(8)
        .y_labels(6)
        .x_desc(plot.axes[0].as_str())
        .y_desc(plot.axes[1].as_str())
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 17))
        .draw()?;
    for (place, curve) in plot.curves.iter().enumerate() {
        draw_curve(&mut chart, curve, place)?;
    }
    Ok(())
}

fn draw_curve<'a, X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'a>, Cartesian2d<X, Y>>,
    curve: &Curve,
    place: usize,
) -> Result<(), Failure<'a>>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let colour = COLOURS[place % COLOURS.len()];
    let points = || curve.points.iter().map(|point| (point.x, point.y));
    chart.draw_series(LineSeries::new(points(), colour.stroke_width(2)))?;
    let floor = chart.y_range().start;
    for point in &curve.points {
        if let Some([low, high]) = point.interval {
            let ends = [(point.x, low.max(floor)), (point.x, high)];
            chart.draw_series(LineSeries::new(ends, colour.mix(0.6).stroke_width(1)))?;
        }
    }
    // Marks of thousands of points would hide the line.
    if curve.points.len() <= 50 {
        match mark(place) {
            0 => chart.draw_series(points().map(|point| Circle::new(point, 4, colour.filled())))?,
            1 => chart.draw_series(points().map(|point| TriangleMarker::new(point, 5, colour.filled())))?,
            _ => chart.draw_series(points().map(|point| Cross::new(point, 4, colour.stroke_width(2))))?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::curves::Point;

    fn plot(points: &[[f64; 2]]) -> Plot {
        let points = points.iter().map(|[x, y]| Point { x: *x, y: *y, interval: Some([y * 0.9, y * 1.1]) }).collect();
        let curve = Curve { name: "a".to_owned(), points };
        Plot { name: "p".to_owned(), axes: ["nodes <b>".to_owned(), "share".to_owned()], curves: vec![curve] }
    }

    #[test]
    fn sizes_over_decades_get_powers_of_ten_and_shares_begin_with_zero() {
        let decades = axis([100.0, 1e5].into_iter(), false);
        assert!(decades.powers && decades.range.start < 100.0 && decades.range.end > 1e5);
        let shares = axis([0.5, 0.9].into_iter(), true);
        assert!(!shares.powers && shares.range.start == 0.0 && shares.range.end > 0.9);
        let one = axis([7.0].into_iter(), false);
        assert!(one.range.start < 7.0 && one.range.end > 7.0);
        assert!(axis([-2.0, 3.0].into_iter(), true).range.start < -2.0);
    }

    #[test]
    fn what_is_drawn_has_its_points_and_no_markup_of_others() {
        for points in [&[[100.0, 0.5], [1e5, 0.25]][..], &[[1.0, 1.0]], &[[0.0, 1e-9], [1.0, 1e9]]] {
            let text = svg(&plot(points)).expect("it is drawn");
            assert!(text.starts_with("<svg") && text.contains("<circle") && !text.contains("<b>"), "{text}");
            assert_eq!(text.matches("<circle").count(), points.len());
        }
    }
}
