//! Elections: JobManagers that stand for the lead, each by a clock of its own, over a lease in the faulty store.
//!
//! Candidates and lease are the real ones. Clocks run fast or slow, so that one takes a lease which its holder still counts on; a
//! JobManager that cannot reach the lease leads on for as long as it may, and one that has lost it for a while longer. One that has
//! ended comes back as another.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use flott_core::id::LeaderEpoch;
use flott_dispatcher::ha::{
    Answer, Candidature, DirectoryLease, Lease, LeaseRegister, Outlook, RegisterError, Standing, Timing, Versioned,
};
use tokio::sync::watch;

use super::{
    check::Broken,
    logs::Owner,
    records::Begun,
    world::{Happening, World},
};

/// JobManagers.
const SEATS: usize = 3;
/// How fast their clocks run, in thousandths.
const RATES: RangeInclusive<u64> = 700..=1300;
const TIMING: Timing =
    Timing { lease: Duration::from_secs(5), renewal: Duration::from_secs(4), retry: Duration::from_secs(1) };
/// Longest times from having the lease to leading, in milliseconds; the second is of one that was stopped meanwhile, and begins behind
/// another that has the lease.
const BEGINNING_MS: [u64; 2] = [2000, 30_000];
/// How many of a thousand are stopped then.
const STOPPED: u32 = 100;
/// Longest time that a JobManager goes on which has lost the lease, in milliseconds.
const ENDING_MS: u64 = 15_000;
/// Longest time until one comes back that has ended, in milliseconds.
const RETURN_MS: u64 = 5000;
/// Longest time for which one cannot reach the lease, in milliseconds.
const CUT_MS: u64 = 15_000;

/// A clock that runs fast or slow, and who of the others is seen to be there.
struct Skewed {
    rate: u64,
    began: tokio::time::Instant,
    origin: Instant,
    living: Living,
    /// Whether it sees that a process has ended.
    sees: bool,
    /// Whose end it has seen.
    seen: Option<String>,
}

/// Names of JobManagers whose processes are there.
type Living = Arc<Mutex<BTreeSet<String>>>;

impl Outlook for Skewed {
    fn now(&self) -> Instant {
        let elapsed = self.began.elapsed().as_micros() as u64;
        self.origin + Duration::from_micros(elapsed * self.rate / 1000)
    }

    async fn is_gone(&mut self, address: &str, _: Duration) -> bool {
        let is_gone = self.sees && !self.living.lock().unwrap_or_else(PoisonError::into_inner).contains(address);
        // Once: whoever takes the lease now is another one.
        is_gone && self.seen.replace(address.to_owned()).is_none_or(|seen| seen != address)
    }
}

/// What keeps a JobManager from the lease: several cuts may be there at a time, and it reaches it when none is.
#[derive(Debug, Clone, Default)]
struct Cuts(Arc<AtomicU32>);

impl Cuts {
    fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn are_over(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// The lease, as one JobManager reaches it.
#[derive(Debug)]
struct Reach {
    lease: DirectoryLease,
    cuts: Cuts,
}

impl Reach {
    fn check(&self) -> Result<(), RegisterError> {
        if self.cuts.are_over() { Ok(()) } else { Err(RegisterError::Failed("no route to host".into())) }
    }
}

impl LeaseRegister for Reach {
    fn read(&self) -> Answer<'_, Option<Versioned<String>>> {
        Box::pin(async move {
            self.check()?;
            self.lease.read().await
        })
    }

    fn write(&self, lease: Lease, over: Option<String>) -> Answer<'_, String> {
        Box::pin(async move {
            self.check()?;
            self.lease.write(lease, over).await
        })
    }
}

/// A host with a JobManager, or its next one to come.
struct Seat {
    life: u32,
    stands: Option<Stands>,
}

/// A JobManager in one of its lives.
struct Stands {
    name: String,
    standing: watch::Receiver<Standing>,
    cuts: Cuts,
    /// It was seen to have the lease.
    is_elected: bool,
    /// When it begins to lead then.
    begins_at: u64,
    /// It was seen to have lost it.
    is_lost: bool,
    /// As what it leads, or has led.
    leads: Option<LeaderEpoch>,
    /// Gives the lease back when it is dropped, if it can.
    _candidature: Candidature,
}

/// All JobManagers of a history.
#[derive(Default)]
pub struct Elections {
    seats: Vec<Seat>,
    living: Living,
}

impl Elections {
    /// Whether there are any.
    pub fn are_held(&self) -> bool {
        !self.seats.is_empty()
    }

    fn at(&mut self, seat: usize, life: u32) -> Option<&mut Stands> {
        self.seats.get_mut(seat).filter(|seat| seat.life == life)?.stands.as_mut()
    }
}

impl World {
    /// JobManagers come.
    pub(super) fn begin_elections(&mut self) {
        // Until one is elected.
        self.jobmanager.is_down = true;
        for seat in 0..SEATS {
            self.elections.seats.push(Seat { life: 0, stands: None });
            self.stand(seat);
        }
    }

    /// A JobManager comes, and stands for election.
    pub(super) fn stand(&mut self, seat: usize) {
        let (rate, sees) = (self.random.within(RATES), self.random.per_mille(500));
        let Some(place) = self.elections.seats.get_mut(seat).filter(|seat| seat.stands.is_none()) else { return };
        place.life += 1;
        let name = format!("jobmanager-{seat}-{}", place.life);
        let (cuts, living) = (Cuts::default(), Arc::clone(&self.elections.living));
        living.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
        let _entered = self.logs.enter();
        let register = Reach { lease: DirectoryLease::new(self.logs.lease_directory()), cuts: cuts.clone() };
        let outlook =
            Skewed { rate, began: tokio::time::Instant::now(), origin: Instant::now(), living, sees, seen: None };
        let candidature = Candidature::begin(Arc::new(register), outlook, name.clone(), name.clone(), TIMING);
        let standing = candidature.standing();
        place.stands = Some(Stands {
            name,
            standing,
            cuts,
            is_elected: false,
            begins_at: 0,
            is_lost: false,
            leads: None,
            _candidature: candidature,
        });
    }

    /// Sees how elections have gone.
    pub(super) fn elections_go_on(&mut self) {
        for seat in 0..self.elections.seats.len() {
            let life = self.elections.seats[seat].life;
            let Some(stands) = self.elections.at(seat, life) else { continue };
            let standing = stands.standing.borrow().clone();
            match standing {
                Standing::By { .. } => {}
                Standing::Leads if std::mem::replace(&mut stands.is_elected, true) => {}
                Standing::Leads => {
                    let most = BEGINNING_MS[usize::from(self.random.per_mille(STOPPED))];
                    let pause = self.random.within(0..=most);
                    stands.begins_at = self.now + pause;
                    self.at(self.now + pause, Happening::Elected(seat, life));
                }
                Standing::Lost(_) | Standing::Over if std::mem::replace(&mut stands.is_lost, true) => {}
                Standing::Lost(_) | Standing::Over => {
                    let pause = self.random.within(0..=ENDING_MS);
                    let ends_at = self.now.max(stands.begins_at) + pause;
                    self.at(ends_at, Happening::JobManagerEnds(seat, life));
                }
            }
        }
    }

    /// Who has the lease begins to lead, whether it still has it or not: that does not matter.
    pub(super) fn elected(&mut self, seat: usize, life: u32) {
        if self.elections.at(seat, life).is_some() {
            self.begin_leading(seat, life);
        }
    }

    /// It has written that it leads. Another may have since.
    pub(super) fn leads(&mut self, begun: Begun) -> Result<(), Broken> {
        let (seat, life, leader) = (begun.seat, begun.life, begun.leader);
        let Some(stands) = self.elections.at(seat, life) else { return Ok(()) };
        stands.leads = Some(leader);
        if leader > self.jobmanager.leader {
            return self.lead(begun);
        }
        self.jobmanager_ends(seat, life);
        Ok(())
    }

    /// Where the JobManager at hand is, and in which life.
    pub(super) fn seat(&self) -> Option<(usize, u32)> {
        let leader = self.jobmanager.leader;
        let is_it = |seat: &Seat| seat.stands.as_ref().is_some_and(|stands| stands.leads == Some(leader));
        let seat = self.elections.seats.iter().position(is_it)?;
        Some((seat, self.elections.seats[seat].life))
    }

    /// The JobManager at hand is killed.
    pub(super) fn is_killed(&mut self) {
        if let Some((seat, life)) = self.seat() {
            self.jobmanager_ends(seat, life);
        }
    }

    /// The JobManager at hand learns from the log of jobs that another leads.
    pub(super) fn learns_deposed(&mut self) {
        if let Some((seat, life)) = self.seat() {
            self.is_deposed(seat, life);
        }
    }

    /// A JobManager learns that it has lost the lead: it ends, but not at once.
    pub(super) fn is_deposed(&mut self, seat: usize, life: u32) {
        if let Some(stands) = self.elections.at(seat, life)
            && !std::mem::replace(&mut stands.is_lost, true)
        {
            let pause = self.random.within(0..=ENDING_MS);
            self.at(self.now + pause, Happening::JobManagerEnds(seat, life));
        }
    }

    /// The process of a JobManager ends, and another comes in its place after a while.
    pub(super) fn jobmanager_ends(&mut self, seat: usize, life: u32) {
        let Some(stands) = self.elections.at(seat, life) else { return };
        // It does nothing more. What is on its way to the store may arrive.
        stands.cuts.begin();
        let (leads, name) = (stands.leads, stands.name.clone());
        self.elections.living.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.elections.seats[seat].stands = None;
        self.logs.end(Owner::Beginning(seat, life));
        if let Some(leader) = leads {
            self.ends_leading(leader);
        }
        let pause = self.random.within(1..=RETURN_MS);
        self.at(self.now + pause, Happening::Stand(seat));
    }

    /// A JobManager is killed, mostly the one that leads; or it does not reach the lease for a while.
    pub(super) fn jobmanager_fails(&mut self) {
        let leader = self.jobmanager.leader;
        let all = 0..self.elections.seats.len();
        let leads = |seat: &usize| {
            self.elections.seats[*seat].stands.as_ref().is_some_and(|stands| stands.leads == Some(leader))
        };
        let leading = all.clone().find(leads).filter(|_| self.random.per_mille(800));
        let Some(seat) = leading.or_else(|| self.random.choose(all)) else { return };
        let life = self.elections.seats[seat].life;
        if self.random.per_mille(500) {
            return self.jobmanager_ends(seat, life);
        }
        if let Some(stands) = self.elections.at(seat, life) {
            stands.cuts.begin();
            let until = self.now + self.random.within(1..=CUT_MS);
            self.at(until, Happening::Reached(seat, life));
        }
    }

    /// A cut between a JobManager and the lease is over.
    pub(super) fn lease_is_reached(&mut self, seat: usize, life: u32) {
        if let Some(stands) = self.elections.at(seat, life) {
            stands.cuts.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_is_reached_when_all_cuts_are_over() {
        let cuts = Cuts::default();
        cuts.begin();
        cuts.clone().begin();
        cuts.end();
        assert!(!cuts.are_over(), "the second one goes on");
        cuts.end();
        assert!(cuts.are_over());
    }
}
