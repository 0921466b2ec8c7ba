//! The cost of calibration. It is printed only, because times on a shared machine are not
//! comparable.

use rand_distr::{Distribution, StandardNormal};

use crate::support::{calibration, numeric, rng};

#[test]
#[ignore = "a measurement"]
fn a_null_table_takes_a_tenth_of_a_second() {
    let mut rng = rng(1);
    let reference = numeric(
        (0..100_000)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect(),
        20,
    );
    for n in [128, 1024, 16_384] {
        let calibration = calibration(&reference, 1);
        let start = std::time::Instant::now();
        calibration.prepare(n);
        println!(
            "n = {n}: {:?}, {} atoms",
            start.elapsed(),
            reference.atoms.len()
        );
    }
}
