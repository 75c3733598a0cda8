//! What is on the shelf, what is under way, and what the user is asked. No I/O: events change it, lines come out.

use crate::desk::Desk;
use crate::dialogue::Question;
use crate::input::Command;
use crate::view;
use std::collections::{BTreeMap, VecDeque};
use tokio::task::AbortHandle;

/// Names a job, as the user types it.
pub(crate) type JobId = u32;

/// What the work tells the user's thread.
pub(crate) enum Event {
    /// What is installed and sold.
    Listed(Vec<Item>),
    /// Bytes of a download.
    Moved { job: JobId, have: u64, total: Option<u64> },
    /// A step of getting a resource ready.
    Step { resource: String, text: String },
    /// Something to be told while a job runs.
    Note { job: JobId, text: String },
    /// The user is asked.
    Asked(Question),
    /// A job is over, well or not.
    Ended { job: JobId, outcome: Result<String, String> },
    /// A line of the keyboard; `None` at its end.
    Typed(Option<String>),
}

/// Something on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// `publisher/name`.
    pub(crate) name: String,
    pub(crate) title: String,
    /// The version on this machine.
    pub(crate) installed: Option<String>,
    /// The newest version that the store sells.
    pub(crate) sold: Option<String>,
    /// What it costs, one text per offer.
    pub(crate) offers: Vec<String>,
}

/// Something under way.
pub(crate) struct Job {
    pub(crate) what: String,
    /// Quarters of a download that were shown.
    quarters: Option<u64>,
    stop: AbortHandle,
}

/// The model.
#[derive(Default)]
pub(crate) struct Shelf {
    items: Vec<Item>,
    jobs: BTreeMap<JobId, Job>,
    last: JobId,
    /// Questions wait for their turn: two resources may ask at once, and a person reads one at a time.
    questions: VecDeque<Question>,
}

impl Shelf {
    /// Whether anything is under way.
    pub(crate) fn is_busy(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether the user is asked something.
    pub(crate) fn is_asking(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Does what the user said: at once, or as a new job. Returns what is to be shown.
    pub(crate) fn begin(&mut self, desk: &Desk, command: Command) -> Vec<String> {
        match command {
            Command::Help => view::help(),
            Command::Wait | Command::WaitQuestion | Command::Quit => Vec::new(),
            Command::Answer(yes) => match self.questions.pop_front() {
                Some(question) => {
                    question.answer(yes);
                    self.questions.front().map(view::question).unwrap_or_default()
                }
                None => vec!["nobody asks anything".into()],
            },
            Command::Stop(job) => match self.jobs.remove(&job) {
                // Its future is dropped where it waits next; what it held goes with it.
                Some(stopped) => {
                    stopped.stop.abort();
                    vec![view::ended(job, &stopped, &Err("stopped".into()))]
                }
                None => vec![format!("there is no job #{job}")],
            },
            Command::Work(work) => {
                self.last += 1;
                let job = Job { what: work.to_string(), quarters: None, stop: desk.start(self.last, work) };
                let line = view::begun(self.last, &job);
                self.jobs.insert(self.last, job);
                vec![line]
            }
        }
    }

    /// Takes in what happened. Returns what is to be shown.
    pub(crate) fn apply(&mut self, event: Event) -> Vec<String> {
        match event {
            Event::Listed(items) => {
                self.items = items;
                view::items(&self.items)
            }
            Event::Moved { job, have, total } => {
                let Some(job_now) = self.jobs.get_mut(&job) else { return Vec::new() };
                let quarters = total.filter(|total| *total > 0).map(|total| have * 4 / total);
                // A person needs no line per packet.
                if quarters.is_none() || job_now.quarters == quarters {
                    return Vec::new();
                }
                job_now.quarters = quarters;
                vec![view::moved(job, have, total)]
            }
            Event::Step { resource, text } => vec![view::step(&resource, &text)],
            Event::Note { job, text } => vec![view::note(job, &text)],
            Event::Asked(question) => {
                self.questions.push_back(question);
                // The others are shown when their turn comes.
                if self.questions.len() == 1 {
                    self.questions.front().map(view::question).unwrap_or_default()
                } else {
                    Vec::new()
                }
            }
            Event::Ended { job, outcome } => match self.jobs.remove(&job) {
                Some(ended) => {
                    let gone = self.drop_unanswerable();
                    let mut lines = vec![view::ended(job, &ended, &outcome)];
                    if gone {
                        lines.extend(self.questions.front().map(view::question).unwrap_or_default());
                    }
                    lines
                }
                None => Vec::new(),
            },
            Event::Typed(_) => Vec::new(),
        }
    }

    /// Takes away questions that nobody waits for any more. Whether the first was among them.
    fn drop_unanswerable(&mut self) -> bool {
        let first = self.questions.front().is_some_and(Question::is_moot);
        self.questions.retain(|question| !question.is_moot());
        first
    }

    /// Ends everything.
    pub(crate) fn stop_all(&mut self) {
        self.questions.clear();
        for job in std::mem::take(&mut self.jobs).into_values() {
            job.stop.abort();
        }
    }
}
