//! Evaluations of the past as OpenMetrics text with timestamps.
//!
//! `promtool tsdb create-blocks-from openmetrics` imports the text. The series are those of the
//! drift block of a scrape, so dashboards and rules work on a replay as they do on the stream. The
//! format wants each family in one piece, but an evaluation has samples of all families: each
//! family is spooled to a temporary file until the end.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write};

use super::catalog::Metric;
use super::drift;
use super::families::{Families, Labels};
use crate::engine::{MonitorPlan, WindowView};
use crate::model::EventTime;

/// The bytes of a spool that are copied at once.
const CHUNK_BYTES: usize = 1 << 16;

/// Spools evaluations and writes them out by family.
#[derive(Debug, Default)]
pub struct OpenMetrics {
    spools: Vec<(Metric, BufWriter<File>)>,
}

impl OpenMetrics {
    /// Adds an evaluation; a window that was never evaluated has no samples.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub fn add(&mut self, plan: &MonitorPlan, window: &WindowView) -> io::Result<()> {
        let Some(end) = window.end else {
            return Ok(());
        };
        let feature_names: Vec<&str> = plan
            .features
            .iter()
            .map(|feature| feature.name.as_str())
            .collect();
        let mut families = Families::default();
        drift::add_window(
            &mut families,
            &plan.spec,
            &plan.references,
            &feature_names,
            window,
        );
        for (metric, samples) in families.samples() {
            let spool = self.spool(metric)?;
            for (labels, value) in samples {
                spool.write_all(sample_line(metric.name, &labels, value, end).as_bytes())?;
            }
        }
        Ok(())
    }

    fn spool(&mut self, metric: Metric) -> io::Result<&mut BufWriter<File>> {
        let known = self
            .spools
            .iter()
            .position(|(spooled, _)| spooled.name == metric.name);
        let index = match known {
            Some(index) => index,
            None => {
                let spool = BufWriter::new(tempfile::tempfile()?);
                self.spools.push((metric, spool));
                self.spools.len() - 1
            }
        };
        Ok(&mut self.spools[index].1)
    }

    /// Writes all families, each in one piece.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn finish(self, output: &mut dyn Write) -> io::Result<()> {
        for (metric, spool) in self.spools {
            let mut file = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            writeln!(output, "# HELP {} {}", metric.name, escaped(metric.help))?;
            writeln!(output, "# TYPE {} gauge", metric.name)?;
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let read = file.read(&mut chunk)?;
                if read == 0 {
                    break;
                }
                output.write_all(&chunk[..read])?;
            }
        }
        writeln!(output, "# EOF")?;
        output.flush()
    }
}

/// The line of one sample, with its time in seconds.
fn sample_line(name: &str, labels: &Labels, value: f64, time: EventTime) -> String {
    let mut line = name.to_owned();
    for (index, (label, value)) in labels.iter().enumerate() {
        line.push(if index == 0 { '{' } else { ',' });
        line.push_str(&format!("{label}=\"{}\"", escaped(value)));
    }
    if !labels.is_empty() {
        line.push('}');
    }
    let value = if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    };
    let millis = time.as_millis();
    let (secs, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    writeln!(line, " {value} {secs}.{rest:03}").expect("writing to memory does not fail");
    line
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_a_time_follows_the_value() {
        let labels = vec![("feature".to_owned(), "a\"b\\\n".to_owned())];
        let time = EventTime::from_millis(1500);
        assert_eq!(
            sample_line("pegel_drift_score", &labels, f64::INFINITY, time),
            "pegel_drift_score{feature=\"a\\\"b\\\\\\n\"} +Inf 1.500\n"
        );
    }

    #[test]
    fn a_time_before_the_epoch_has_a_positive_fraction() {
        let time = EventTime::from_millis(-1);
        assert_eq!(
            sample_line("up", &Labels::new(), 0.25, time),
            "up 0.25 -1.999\n"
        );
    }
}
