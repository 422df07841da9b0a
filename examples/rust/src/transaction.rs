//! Transactions: several actions at one instant, all of them or none.

use crate::machine::{Machine, Start, MAX_UNSIGNED};
use crate::mistake::{made, Mistake};
use crate::refusal::{Kind, Outcome};

/// What can be done in a transaction, and by itself.
#[derive(Clone, Debug)]
pub enum Action {
    AddBitmap { node: String, name: String, granularity: i64, enabled: bool },
    RemoveBitmap { node: String, name: String },
    ClearBitmap { node: String, name: String },
    EnableBitmap { node: String, name: String },
    DisableBitmap { node: String, name: String },
    MergeBitmaps { node: String, target: String, sources: Vec<(String, String)> },
    StartBackup(Start),
    Abort,
}

impl Action {
    /// What is looked at before anything is done: numbers that are too large for what they count.
    fn check_range(&self) -> Outcome {
        let number = match self {
            Action::AddBitmap { granularity, .. } => *granularity,
            Action::StartBackup(start) => start.cluster,
            _ => return Ok(()),
        };
        if (0..=MAX_UNSIGNED).contains(&number) {
            Ok(())
        } else {
            Err(Kind::Invalid.because(format!("{number} is not a number of 32 bits")))
        }
    }

    fn perform(&self, machine: &mut Machine, group: u64) -> Outcome {
        match self {
            Action::AddBitmap { node, name, granularity, enabled } => {
                self.check_range()?;
                if name.is_empty() {
                    return Err(Kind::Invalid.because("a bitmap needs a name"));
                }
                machine.disk_mut(node)?.add_bitmap(name, *granularity, *enabled)
            }
            Action::RemoveBitmap { node, name } => machine.disk_mut(node)?.remove_bitmap(name),
            Action::ClearBitmap { node, name } => {
                machine.disk_mut(node)?.clear_bitmap(name)?;
                if made(Mistake::ClearsNamesakes) {
                    machine.all_bitmaps().filter(|bitmap| bitmap.name == *name).for_each(|bitmap| bitmap.dirty.clear());
                }
                Ok(())
            }
            Action::EnableBitmap { node, name } => {
                machine.disk_mut(node)?.idle_bitmap(name)?.set_recording(true);
                Ok(())
            }
            Action::DisableBitmap { node, name } => {
                let disk = machine.disk_mut(node)?;
                disk.idle_bitmap(name)?.set_recording(false);
                if made(Mistake::DisablesOthers) {
                    disk.bitmaps.iter_mut().for_each(|bitmap| bitmap.set_recording(false));
                }
                Ok(())
            }
            Action::MergeBitmaps { node, target, sources } => machine.merge_bitmaps(node, target, sources),
            Action::StartBackup(start) => machine.start_backup(start, group),
            Action::Abort => Err(Kind::Aborted.because("the transaction has an abort")),
        }
    }
}

/// One action by itself. It changes nothing if it is refused, for it checks before it does anything.
pub fn perform(machine: &mut Machine, action: &Action) -> Outcome {
    let group = machine.new_group();
    action.perform(machine, group)?;
    machine.conclude();
    Ok(())
}

/// All actions, in order, each seeing those before it; or, if one is refused, nothing.
pub fn transact(machine: &mut Machine, actions: &[Action], grouped: bool) -> Outcome {
    if grouped && actions.iter().any(|action| !matches!(action, Action::StartBackup(_))) {
        return Err(Kind::Invalid.because("only jobs can be grouped"));
    }
    actions.iter().try_for_each(Action::check_range)?;
    let before = machine.clone();
    let outcome = perform_all(machine, actions, grouped);
    if outcome.is_err() && !made(Mistake::NotUndone) {
        *machine = before;
    }
    outcome
}

fn perform_all(machine: &mut Machine, actions: &[Action], grouped: bool) -> Outcome {
    machine.drain_all();
    let mut group = machine.new_group();
    for action in actions {
        action.perform(machine, group)?;
        if !grouped {
            group = machine.new_group();
        }
    }
    machine.conclude();
    Ok(())
}
