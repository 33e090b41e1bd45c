//! [`Step`]: what happens to an allocator.

use super::draws::Draws;

/// Something that happens to an allocator. Its `Debug` form is its Rust source.
///
/// What a number stands for is counted from the first and wraps around: `Decline(4, 0)` is of the second live offer if there are
/// three. A step for which there is nothing does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// An agent of that id comes, with these resources.
    AddAgent(&'static str, &'static str),
    /// An agent has other resources.
    UpdateAgent(&'static str, &'static str),
    /// An agent goes. If anything of it is offered or in use, the allocator must refuse that.
    RemoveAgent(&'static str),
    /// An agent may be offered, or may not.
    SetAgentActive(&'static str, bool),
    /// A framework of that id comes, with these roles, which commas separate.
    AddFramework(&'static str, &'static str),
    /// A framework has other roles.
    UpdateFramework(&'static str, &'static str),
    /// A framework goes. If it holds anything, the allocator must refuse that.
    RemoveFramework(&'static str),
    /// A framework may be offered something, or may not.
    SetFrameworkActive(&'static str, bool),
    /// A framework wants no offers under a role.
    Suppress(&'static str, &'static str),
    /// A framework wants offers again under a role.
    Revive(&'static str, &'static str),
    /// A role has another weight.
    SetWeight(&'static str, &'static str),
    /// A role may hold so many cpus at most.
    SetLimit(&'static str, u64),
    /// All agents are allocated.
    Allocate,
    /// An agent is allocated.
    AllocateAgent(&'static str),
    /// A live offer ends, and is refused for so many seconds.
    Decline(usize, u64),
    /// A live offer ends, and a task holds these resources of it. If they are not in it, the allocator must refuse that.
    Launch(usize, &'static str),
    /// A live offer ends, and a cpu of it is reserved to its role. If there is none, the allocator must refuse that.
    Reserve(usize),
    /// A task ends.
    EndTask(usize),
    /// The offer that ended last ends once more, which the allocator must refuse.
    EndOfferAgain,
    /// The task that ended last ends once more, which the allocator must refuse.
    EndTaskAgain,
    /// So many seconds pass.
    Wait(u64),
    /// The allocator is saved, and another one loads that. The two go on side by side.
    SaveAndLoad,
}

const AGENTS: [&str; 4] = ["n1", "n2", "n3", "n4"];
const RESOURCES: [&str; 6] = [
    "cpus:4;mem:512",
    "cpus:2;mem:1024;ports:[31000-31009]",
    "cpus:8;mem:256;cpus(eng):2",
    "cpus:1;mem:64;gpus:2",
    "cpus:3;mem:128;disk:100;mem(eng/web):64",
    "cpus:0.5;mem:96;licences:{a,b,c}",
];
const FRAMEWORKS: [&str; 4] = ["f1", "f2", "f3", "f4"];
const ROLES: [&str; 5] = ["eng", "eng/web", "eng/db", "ops", "x/y"];
const ROLE_SETS: [&str; 6] = ["eng", "eng/web", "ops", "eng,ops", "eng/db,x/y", "eng/web,eng/db,ops"];
const TASKS: [&str; 5] = ["cpus:1;mem:32", "cpus:0.5", "mem:64", "cpus:2;mem:128", "ports:[31000-31001]"];

impl Draws {
    /// Draws the next step of a sequence, of which so many come before: first agents and frameworks come.
    pub(super) fn step(&mut self, before: usize) -> Step {
        let kind = if before < 6 {
            self.weighted(&[2, 2])
        } else {
            self.weighted(&[3, 4, 3, 2, 2, 2, 2, 2, 2, 3, 2, 2, 24, 6, 20, 16, 3, 12, 1, 1, 8, 2])
        };
        match kind {
            0 => Step::AddAgent(self.one_of(&AGENTS), self.one_of(&RESOURCES)),
            1 => Step::AddFramework(self.one_of(&FRAMEWORKS), self.one_of(&ROLE_SETS)),
            2 => Step::UpdateAgent(self.one_of(&AGENTS), self.one_of(&RESOURCES)),
            3 => Step::RemoveAgent(self.one_of(&AGENTS)),
            4 => Step::SetAgentActive(self.one_of(&AGENTS), self.below(3) > 0),
            5 => Step::UpdateFramework(self.one_of(&FRAMEWORKS), self.one_of(&ROLE_SETS)),
            6 => Step::RemoveFramework(self.one_of(&FRAMEWORKS)),
            7 => Step::SetFrameworkActive(self.one_of(&FRAMEWORKS), self.below(3) > 0),
            8 => Step::Suppress(self.one_of(&FRAMEWORKS), self.one_of(&ROLES)),
            9 => Step::Revive(self.one_of(&FRAMEWORKS), self.one_of(&ROLES)),
            10 => Step::SetWeight(self.one_of(&ROLES), self.one_of(&["0.5", "1", "2", "3"])),
            11 => Step::SetLimit(self.one_of(&ROLES), self.below(8)),
            12 => Step::Allocate,
            13 => Step::AllocateAgent(self.one_of(&AGENTS)),
            14 => Step::Decline(self.position(), self.one_of(&[0, 0, 2, 5, 30])),
            15 => Step::Launch(self.position(), self.one_of(&TASKS)),
            16 => Step::Reserve(self.position()),
            17 => Step::EndTask(self.position()),
            18 => Step::EndOfferAgain,
            19 => Step::EndTaskAgain,
            20 => Step::Wait(self.one_of(&[1, 1, 3, 10])),
            _ => Step::SaveAndLoad,
        }
    }

    fn position(&mut self) -> usize {
        self.one_of(&[0, 1, 2, 3, 4, 5])
    }
}
