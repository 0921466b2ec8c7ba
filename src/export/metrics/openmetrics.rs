//! Evaluations of the past as OpenMetrics text with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
//!
//! The series are those of a scrape's drift block, so dashboards and rules work on a replayed file as on the stream. The format wants each family in one piece, and
//! evaluations bring all families at once: each family is spooled to a file of its own until the end.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write};

use super::drift;
use super::families::Families;
use crate::engine::{MonitorPlan, WindowView};
use crate::export::Metric;
use crate::model::EventTime;

/// Spools evaluations and writes them out by family.
#[derive(Debug, Default)]
pub struct OpenMetrics {
    spools: Vec<(Metric, BufWriter<File>)>,
}

impl OpenMetrics {
    /// Takes an evaluation.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub fn take(&mut self, plan: &MonitorPlan, window: &WindowView) -> io::Result<()> {
        let Some(end) = window.end else {
            return Ok(());
        };
        let names: Vec<&str> = plan.features.iter().map(|own| own.name.as_str()).collect();
        let mut families = Families::default();
        drift::add_window(&mut families, &plan.spec, &plan.references, &names, window);
        for (metric, samples) in families.samples() {
            let spool = self.spool(metric)?;
            for (labels, value) in samples {
                spool.write_all(line(metric.name, &labels, value, end).as_bytes())?;
            }
        }
        Ok(())
    }

    fn spool(&mut self, metric: Metric) -> io::Result<&mut BufWriter<File>> {
        let known = self
            .spools
            .iter()
            .position(|(own, _)| own.name == metric.name);
        let at = match known {
            Some(at) => at,
            None => {
                let file = BufWriter::new(tempfile::tempfile()?);
                self.spools.push((metric, file));
                self.spools.len() - 1
            }
        };
        Ok(&mut self.spools[at].1)
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
            let mut chunk = vec![0; 1 << 16];
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

/// One sample.
fn line(name: &str, labels: &[(String, String)], value: f64, at: EventTime) -> String {
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
    let millis = at.as_millis();
    let (secs, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    writeln!(line, " {value} {secs}.{rest:03}").expect("memory does not fail");
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
    fn a_sample_is_escaped_and_has_its_time() {
        let labels = [("feature".to_owned(), "a\"b\\\n".to_owned())];
        let found = line(
            "pegel_drift_score",
            &labels,
            f64::INFINITY,
            EventTime::from_millis(1500),
        );
        assert_eq!(
            found,
            "pegel_drift_score{feature=\"a\\\"b\\\\\\n\"} +Inf 1.500\n"
        );
        let found = line("up", &[], 0.25, EventTime::from_millis(-1));
        assert_eq!(found, "up 0.25 -1.999\n", "before the epoch");
    }
}
