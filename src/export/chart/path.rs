//! Path data of SVG with one decimal.

/// A path under construction.
#[derive(Debug, Default)]
pub(super) struct Path {
    data: String,
}

impl Path {
    /// A line through points.
    pub(super) fn through<'a>(points: impl IntoIterator<Item = &'a (f64, f64)>) -> Self {
        let mut path = Path::default();
        for (index, (x, y)) in points.into_iter().enumerate() {
            match index {
                0 => path.move_to(*x, *y),
                _ => path.line_to(*x, *y),
            }
        }
        path
    }

    /// Begins a new line at a point.
    pub(super) fn move_to(&mut self, x: f64, y: f64) {
        self.push('M', x, y);
    }

    /// Draws a line to a point.
    pub(super) fn line_to(&mut self, x: f64, y: f64) {
        self.push('L', x, y);
    }

    /// Joins the end of the current line to its beginning.
    pub(super) fn close(&mut self) {
        self.data.push('Z');
    }

    /// Adds a rectangle.
    pub(super) fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64) {
        let [x, y, width, height] = [x, y, width, height].map(rounded);
        self.data += &format!("M{x} {y}h{width}v{height}h{}Z", rounded(-width));
    }

    /// The value of the attribute `d`.
    pub(super) fn into_data(self) -> String {
        self.data
    }

    fn push(&mut self, command: char, x: f64, y: f64) {
        self.data += &format!("{command}{} {}", rounded(x), rounded(y));
    }
}

/// The upper outline of bars that fill a frame of this width and height; the longest one has the
/// share `highest`.
pub(super) fn outline(shares: &[f64], highest: f64, (width, height): (f64, f64)) -> Path {
    let bar_width = width / shares.len() as f64;
    let mut path = Path::default();
    path.move_to(0.0, height);
    for (bar, share) in shares.iter().enumerate() {
        let y = height * (1.0 - share / highest);
        path.line_to(bar as f64 * bar_width, y);
        path.line_to((bar + 1) as f64 * bar_width, y);
    }
    path.line_to(width, height);
    path
}

/// A coordinate with one decimal; never `-0`.
pub(super) fn rounded(coordinate: f64) -> f64 {
    (coordinate * 10.0).round() / 10.0 + 0.0
}
