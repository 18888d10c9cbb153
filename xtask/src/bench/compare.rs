// SPDX-License-Identifier: GPL-2.0

//! Two runs side by side: `--compare BASE.json`.

use super::figures::Figures;
use crate::report;

/// Changes smaller than this share of a figure are not shown.
const SMALLEST: f64 = 0.001;

/// What has changed since `base`, as a table; what is new and what is gone below it.
pub(crate) fn changes(base: &Figures, now: &Figures) -> String {
    let mut rows = Vec::new();
    for name in now.names() {
        let (Some(old), Some(new)) = (base.get(name), now.get(name)) else {
            continue;
        };
        if (new - old).abs() <= old.abs() * SMALLEST {
            continue;
        }
        let costs = [base.cost(name), now.cost(name)];
        let mut row = vec![
            name.to_owned(),
            format!("{old:.0}"),
            format!("{new:.0}"),
            format!("{:+.0}", new - old),
        ];
        row.push(percent(old, new));
        row.extend(costs.map(|cost| cost.map_or(String::new(), |cost| format!("{cost:+.0}"))));
        rows.push(row);
    }
    let mut text = if rows.is_empty() {
        "nothing has changed by more than a thousandth\n".to_owned()
    } else {
        let header = ["figure", "was", "is", "change", "", "cost was", "cost is"];
        report::table(&header, &rows, true)
    };
    for (what, from, to) in [("new", now, base), ("gone", base, now)] {
        let names: Vec<&str> = from.names().filter(|name| to.get(name).is_none()).collect();
        if !names.is_empty() {
            text.push_str(&format!("{what}: {}\n", names.join(", ")));
        }
    }
    if base.kernel != now.kernel {
        text.push_str(&format!(
            "the kernels differ: {} and {}\n",
            base.kernel, now.kernel
        ));
    }
    text
}

fn percent(old: f64, new: f64) -> String {
    if old == 0.0 {
        String::new()
    } else {
        format!("{:+.1}%", (new - old) / old * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::figures;

    #[test]
    fn only_what_has_changed_is_shown() {
        let base = figures(&[
            ("open none", 5000.0),
            ("open evfilter/a", 6000.0),
            ("stat none", 1.0),
        ]);
        let now = figures(&[
            ("open none", 5004.0),
            ("open evfilter/a", 5700.0),
            ("read none", 1.0),
        ]);
        let text = changes(&base, &now);
        assert!(
            text.contains("open evfilter/a  6000  5700    -300  -5.0%     +1000     +696"),
            "{text}"
        );
        assert!(!text.contains("open none"), "{text}");
        assert!(
            text.contains("new: read none\n") && text.contains("gone: stat none\n"),
            "{text}"
        );
    }

    #[test]
    fn equal_runs_say_so() {
        let base = figures(&[("open none", 5000.0)]);
        assert!(changes(&base, &base).starts_with("nothing has changed"));
    }
}
