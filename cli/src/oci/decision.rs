// SPDX-License-Identifier: GPL-2.0
//! Several entries for one call: which of them decides. The order is that in which libseccomp's code asks (`src/db.c`, `_db_chain_lt`).

use filters::verdict::Verdict;

use super::Refusal;
use super::comparison::Comparison;
use super::profile::Op;

/// What one entry says of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The entry.
    pub(super) at: usize,
    pub(super) verdict: Verdict,
    /// All of them must hold; by argument.
    pub(super) conditions: Vec<Comparison>,
}

/// Who decides a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// One rule, whatever the arguments.
    Whole(Rule),
    /// These, each for the arguments that it names. Their order does not matter.
    Parted(Vec<Rule>),
    /// These, the first that fits.
    Ordered(Vec<Rule>),
}

/// Decides between all rules for the call `name`, in the order of the profile; `None` if none of them can ever fit.
pub(super) fn decide(name: &str, rules: Vec<Rule>) -> Result<Option<Decision>, Refusal> {
    if let Some(whole) = rules.iter().find(|rule| rule.conditions.is_empty()) {
        return Ok(Some(Decision::Whole(whole.clone())));
    }
    let mut possible: Vec<Rule> = Vec::new();
    for rule in rules {
        let never = rule.conditions.iter().any(Comparison::is_never);
        if !never && !possible.contains(&rule) {
            possible.push(rule);
        }
    }
    if possible.is_empty() {
        return Ok(None);
    }
    match clash(&possible) {
        None => Ok(Some(match possible.iter().find(|rule| always(rule)) {
            Some(whole) => Decision::Whole(whole.clone()),
            None => Decision::Parted(possible),
        })),
        Some((first, second)) => {
            let several = |rule: &Rule| rule.conditions.len() > 1;
            if possible.iter().any(several) {
                return Err(refused(
                    second,
                    format!(
                        "it decides some calls of `{name}` otherwise than syscalls[{}], and conditions on several arguments are among them; make the entries exclude each other",
                        first.at
                    ),
                ));
            }
            Ok(Some(Decision::Ordered(in_order(name, possible)?)))
        }
    }
}

/// Two rules that give different verdicts to the same call, for all that can be seen.
fn clash(rules: &[Rule]) -> Option<(&Rule, &Rule)> {
    let pairs = rules
        .iter()
        .enumerate()
        .flat_map(|(at, first)| rules.iter().skip(at + 1).map(move |second| (first, second)));
    pairs
        .into_iter()
        .find(|(first, second)| first.verdict != second.verdict && !apart(first, second))
}

/// Whether no call fits both.
fn apart(first: &Rule, second: &Rule) -> bool {
    let excludes = |mine: &Comparison| second.conditions.iter().any(|it| mine.excludes(it));
    first.conditions.iter().any(excludes)
}

fn refused(rule: &Rule, reason: String) -> Refusal {
    Refusal::new(format!("syscalls[{}]", rule.at), reason)
}

/// One half of an argument, compared with a number: a node of libseccomp's tree, of which nodes on one level are asked one after another.
#[derive(Clone, Debug)]
struct Node {
    index: usize,
    op: NodeOp,
    datum: u32,
    mask: u32,
    /// The operator of the condition that made the node; it gives the place on the level.
    made_by: Op,
    below: Vec<Node>,
    /// The rules that decide when the comparison holds, and when it does not.
    holds: Option<Rule>,
    fails: Option<Rule>,
}

/// What the code compares with; the other operators are these, turned round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeOp {
    Eq,
    MaskedEq,
    Ge,
    Gt,
}

/// Rules with one condition each, in the order in which they are asked.
fn in_order(name: &str, rules: Vec<Rule>) -> Result<Vec<Rule>, Refusal> {
    half_known(name, &rules)?;
    let mut level = Vec::new();
    for rule in rules {
        insert(name, &mut level, rule)?;
    }
    let mut ordered = Vec::new();
    flatten(level, &mut ordered);
    let last = ordered.iter().position(always);
    ordered.truncate(last.map_or(usize::MAX, |last| last + 1));
    Ok(ordered)
}

fn always(rule: &Rule) -> bool {
    rule.conditions.iter().all(Comparison::is_always)
}

/// Refuses the pairs that libseccomp decides by their place in the profile for some arguments, and by their numbers for others.
///
/// Conditions that hold when a comparison fails (NE, LT, LE) share the node for the upper half; the first one keeps its verdict there.
fn half_known(name: &str, rules: &[Rule]) -> Result<(), Refusal> {
    for (at, second) in rules.iter().enumerate() {
        for first in &rules[..at] {
            let (Some(a), Some(b)) = (first.conditions.first(), second.conditions.first()) else {
                continue;
            };
            let same_half = a.bits == 64
                && a.index == b.index
                && a.datum >> 32 == b.datum >> 32
                && first.verdict != second.verdict;
            let turned = match (a.op, b.op) {
                (Op::Ne, Op::Ne) => a.datum < b.datum,
                (Op::Lt | Op::Le, Op::Lt | Op::Le) => a.datum > b.datum && a.datum >> 32 != 0,
                _ => false,
            };
            if same_half && turned {
                return Err(refused(
                    second,
                    format!(
                        "what it and syscalls[{}] decide of `{name}` depends on the upper half of the argument in libseccomp; exchange the two entries",
                        first.at
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn insert(name: &str, top: &mut Vec<Node>, rule: Rule) -> Result<(), Refusal> {
    let Some(condition) = rule.conditions.first().cloned() else {
        return Ok(());
    };
    let leaf = match condition.bits {
        64 => {
            let upper = find_or_add(top, Node::new(&condition, true));
            find_or_add(&mut upper.below, Node::new(&condition, false))
        }
        _ => find_or_add(top, Node::new(&condition, false)),
    };
    let place = match condition.op {
        Op::Ne | Op::Lt | Op::Le => &mut leaf.fails,
        _ => &mut leaf.holds,
    };
    match place {
        Some(first) if first.verdict != rule.verdict => Err(refused(
            &rule,
            format!(
                "it decides `{name}` otherwise than syscalls[{}] under the same condition; libseccomp refuses that",
                first.at
            ),
        )),
        Some(_) => Ok(()),
        None => {
            *place = Some(rule);
            Ok(())
        }
    }
}

/// The node on the level that is equal to `node`, or `node`, put into its place: larger ones are asked first.
fn find_or_add(level: &mut Vec<Node>, node: Node) -> &mut Node {
    let mut at = level.len();
    for (index, there) in level.iter().enumerate() {
        if there.is(&node) || there.comes_after(&node) {
            at = index;
            break;
        }
    }
    if !level.get(at).is_some_and(|there| there.is(&node)) {
        level.insert(at, node);
    }
    &mut level[at]
}

fn flatten(level: Vec<Node>, ordered: &mut Vec<Rule>) {
    for node in level {
        flatten(node.below, ordered);
        ordered.extend(node.holds);
        ordered.extend(node.fails);
    }
}

impl Node {
    fn new(condition: &Comparison, upper: bool) -> Node {
        let half = |number: u64| (if upper { number >> 32 } else { number }) as u32;
        Node {
            index: condition.index,
            op: match condition.op {
                Op::Eq | Op::Ne => NodeOp::Eq,
                Op::MaskedEq => NodeOp::MaskedEq,
                Op::Gt | Op::Le => NodeOp::Gt,
                Op::Ge | Op::Lt if upper => NodeOp::Gt,
                Op::Ge | Op::Lt => NodeOp::Ge,
            },
            datum: half(condition.datum),
            mask: half(condition.mask),
            made_by: condition.op,
            below: Vec::new(),
            holds: None,
            fails: None,
        }
    }

    fn is(&self, other: &Node) -> bool {
        (self.index, self.op, self.datum, self.mask)
            == (other.index, other.op, other.datum, other.mask)
    }

    /// Whether `new` is asked before this node.
    fn comes_after(&self, new: &Node) -> bool {
        let place = |node: &Node| (node.index, class(node.made_by));
        if place(self) != place(new) {
            return place(self) < place(new);
        }
        match self.made_by {
            Op::Lt | Op::Le => self.datum > new.datum,
            _ => self.datum < new.datum,
        }
    }
}

fn class(op: Op) -> u32 {
    match op {
        Op::Eq | Op::Ne | Op::MaskedEq => 3,
        Op::Lt | Op::Le => 2,
        Op::Ge | Op::Gt => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::Arg;
    use super::*;

    fn rule(at: usize, verdict: Verdict, op: Op, value: u64) -> Rule {
        let arg = Arg {
            index: 0,
            value,
            value_two: 0,
            op,
        };
        Rule {
            at,
            verdict,
            conditions: vec![Comparison::new(&arg, 64)],
        }
    }

    fn places(rules: Vec<Rule>) -> Result<Vec<usize>, Refusal> {
        match decide("socket", rules)? {
            Some(Decision::Ordered(rules)) => Ok(rules.iter().map(|rule| rule.at).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_entry_without_conditions_decides_alone() -> Result<(), Refusal> {
        let whole = |at, verdict| Rule {
            at,
            verdict,
            conditions: Vec::new(),
        };
        let rules = vec![
            rule(0, Verdict::LOG, Op::Eq, 1),
            whole(1, Verdict::ALLOW),
            whole(2, Verdict::KILL_PROCESS),
        ];
        let expected = Decision::Whole(whole(1, Verdict::ALLOW));
        assert_eq!(decide("socket", rules)?, Some(expected));
        Ok(())
    }

    #[test]
    fn what_overlaps_is_asked_in_libseccomp_s_order() -> Result<(), Refusal> {
        // An equality before an order, the larger number first; for "less" the smaller.
        let rules = vec![
            rule(0, Verdict::ALLOW, Op::Gt, 5),
            rule(1, Verdict::LOG, Op::Gt, 9),
            rule(2, Verdict::KILL_THREAD, Op::Eq, 7),
        ];
        assert_eq!(places(rules)?, [2, 1, 0]);
        let rules = vec![
            rule(0, Verdict::ALLOW, Op::Lt, 9),
            rule(1, Verdict::LOG, Op::Lt, 5),
        ];
        assert_eq!(places(rules)?, [1, 0]);
        Ok(())
    }

    #[test]
    fn the_same_condition_twice_is_refused_unless_it_says_the_same() -> Result<(), Refusal> {
        let rules = vec![
            rule(3, Verdict::ALLOW, Op::Eq, 9),
            rule(8, Verdict::LOG, Op::Eq, 9),
        ];
        let refusal = decide("socket", rules).unwrap_err().to_string();
        assert!(refusal.starts_with("syscalls[8]: "), "{refusal}");
        assert!(refusal.contains("syscalls[3]"), "{refusal}");

        let rules = vec![
            rule(3, Verdict::ALLOW, Op::Eq, 9),
            rule(3, Verdict::ALLOW, Op::Eq, 9),
        ];
        match decide("socket", rules)? {
            Some(Decision::Parted(rules)) => assert_eq!(rules.len(), 1),
            other => panic!("{other:?}"),
        }
        Ok(())
    }

    #[test]
    fn what_always_fits_leaves_nothing_to_the_others() -> Result<(), Refusal> {
        let rules = vec![
            rule(0, Verdict::ALLOW, Op::Eq, 1),
            rule(1, Verdict::ALLOW, Op::Ge, 0),
        ];
        let whole = Decision::Whole(rule(1, Verdict::ALLOW, Op::Ge, 0));
        assert_eq!(decide("socket", rules)?, Some(whole));
        let rules = vec![
            rule(0, Verdict::LOG, Op::Eq, 1),
            rule(1, Verdict::ALLOW, Op::Ge, 0),
            rule(2, Verdict::LOG, Op::Gt, 7),
        ];
        assert_eq!(places(rules)?, [0, 2, 1]);
        Ok(())
    }

    #[test]
    fn what_can_never_fit_is_no_decision() -> Result<(), Refusal> {
        let rules = vec![rule(0, Verdict::ALLOW, Op::Lt, 0)];
        assert_eq!(decide("socket", rules)?, None);
        Ok(())
    }
}
