//! T8: what criterion has measured.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use eyre::{Result, ensure};

use super::{Judged, Run};
use crate::micro::{self, Row};
use crate::report::machine::date;

impl Run<'_> {
    /// T8: reads what `cargo bench` has left.
    pub(super) fn codec(&mut self) {
        if self.wants("T8") {
            let directory = self.options.criterion.clone();
            let directory = directory.unwrap_or_else(micro::default_directory);
            let judged = self.fresh(&directory).and_then(|age| {
                let mut judged = judge(&micro::goals(&directory)?)?;
                judged.remarks.push(age);
                Ok(judged)
            });
            self.judge("T8", judged);
        }
    }

    /// How old criterion's files are; an error when the program is newer: they are of another one.
    fn fresh(&self, directory: &Path) -> Result<String> {
        let measured = micro::oldest(directory)?;
        let program = self.server.corecast()?;
        let built = fs::metadata(&program)?.modified()?;
        check_age(measured, built)?;
        let minutes = measured.elapsed().unwrap_or_default().as_secs() / 60;
        Ok(format!("measured {minutes} min ago, after this corecast was built"))
    }
}

fn check_age(measured: SystemTime, built: SystemTime) -> Result<()> {
    ensure!(
        measured >= built,
        "what criterion has left is of {}, the program of {}: run \
         `cargo bench -p corecast-bench --bench wire` again",
        date(measured),
        date(built)
    );
    Ok(())
}

fn judge(rows: &[Row]) -> Result<Judged> {
    let with = |reached: Option<bool>| rows.iter().filter(move |row| row.reached == reached);
    let (held, failed) = (with(Some(true)).count(), with(Some(false)).count());
    let share = rows.iter().filter(|row| row.work == "unmask").filter_map(|row| {
        let bytes: u64 = row.size.parse().ok()?;
        (bytes >= micro::MEMCPY_BYTES_MIN).then(|| row.memcpy_share()).flatten()
    });
    let share = share.fold(f64::INFINITY, f64::min);
    let behind = with(Some(false)).map(|row| {
        let beside = row.best_peer().map(|(peer, ratio)| format!("{ratio:.2} × {peer}"));
        let copy = row.memcpy_share().map(|share| format!("{share:.2} of memcpy"));
        let said = Vec::from_iter(beside.into_iter().chain(copy)).join(", ");
        format!("{} {}: {said}", row.work, row.size)
    });
    let unjudged = with(None)
        .map(|row| format!("{} {}: not all who do this work were measured", row.work, row.size));
    let copy = if share.is_finite() {
        format!(", unmask at least {share:.2} of memcpy from 4 KiB")
    } else {
        String::new()
    };
    Ok(Judged {
        measured: format!("ahead in {held} of {}{copy}", rows.len()),
        reached: Some(failed == 0 && held == rows.len()),
        remarks: behind.chain(unjudged).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::time::Duration;

    use super::*;
    use crate::micro::Unit;

    #[test]
    fn figures_of_an_older_program_are_refused() {
        let built = SystemTime::now();
        assert!(check_age(built, built).is_ok());
        let error = check_age(built - Duration::from_secs(60), built).unwrap_err().to_string();
        assert!(error.contains("cargo bench"), "{error}");
    }

    fn row(size: &str, ours: f64, memcpy: f64, peer: f64, reached: Option<bool>) -> Row {
        let times = [("corecast", ours), ("memcpy", memcpy), ("fastwebsockets", peer)];
        Row {
            work: "unmask".into(),
            size: size.into(),
            unit: Unit::Iteration,
            times_ns: BTreeMap::from(times.map(|(name, time)| (name.to_owned(), time))),
            reached,
        }
    }

    #[test]
    fn rows_behind_are_named_and_rows_without_a_verdict_do_not_count_as_reached() {
        let good = row("4096", 10.0, 9.0, 20.0, Some(true));
        assert_eq!(judge(std::slice::from_ref(&good)).unwrap().reached, Some(true));
        let bad = row("8192", 10.0, 5.0, 20.0, Some(false));
        let judged = judge(&[good.clone(), bad]).unwrap();
        assert_eq!(judged.reached, Some(false));
        assert_eq!(judged.measured, "ahead in 1 of 2, unmask at least 0.50 of memcpy from 4 KiB");
        assert_eq!(judged.remarks, ["unmask 8192: 0.50 × fastwebsockets, 0.50 of memcpy"]);
        let unjudged = row("64", 1.0, 1.0, 1.0, None);
        assert_eq!(judge(&[good, unjudged]).unwrap().reached, Some(false));
    }
}
