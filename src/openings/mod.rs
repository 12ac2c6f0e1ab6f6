//! Openings: a person clicks and lands, logged in, in a site's own console. What is decided and kept, without HTTP.
//!
//! 1. [`Openings::begin`] keeps a pending opening: for one session, one site, one account, one view, for a minute. It is in
//!    memory only; a restart loses it, and the person presses the button once more.
//! 2. The site's verifier gives the browser a state and sends it back with its hash. Nothing of that is believed but
//!    the hash, which goes into the token as it came.
//! 3. [`Openings::take`] takes the pending opening, at most once however many ask at the same moment. The caller looks
//!    again whether the person still may, and then [`Openings::issue`] records it durably and only after that signs.
//!
//! 4. What was signed is kept on disk ([`Ledger`]): a verifier that asks is given a grant, and hears of it later whether the
//!    person still is who they were; and at the end of their session the sites are told ([`Errand`]).
//!
//! [`Route`] is how a site takes people, or why it takes nobody; `check` asks the same. Where that is the console's own hash
//! ([`direct`]), step 2 is left out: there is nothing at the site that could give a state. The user names a view, never a path:
//! the path is computed from the site's own address ([`landing`]).

pub mod direct;
pub mod former;
mod leaving;
mod ledger;
mod online;
mod pace;
mod pending;
pub mod probe;
mod view;
mod way;
pub mod witness;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::delegation::{
    Amr, MintError, NewToken, PandoraLogin, PandoraRefusal, SiteKey, UsedTokens, mint, random_number,
};
use crate::domain::SiteId;
use crate::secret::Secret;

use ledger::Row;
use online::Used;
use pace::Pace;
use pending::Pending;
use witness::{Event, Told, Unrecorded, Witness};

pub use direct::Direct;
pub use leaving::{Console, End, Errand, TRIES};
pub use ledger::{Ledger, LedgerError};
pub use online::{Asks, NotAnswered};
pub use pending::{Gone, Wanted};
pub use view::{is_number, is_state, view};
pub use way::{Closed, Route, Way, landing};

/// A morning's worth of tabs of one person in a minute, and far from a script.
const OF_PERSON: usize = 30;

/// Tokens that one site's verifier asks about in a minute.
const OF_VERIFIER: usize = 600;

/// Questions about grants of one site in a minute; each is for up to a thousand.
const OF_STATUS: usize = 120;

/// Why an opening is not begun, or does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// This person opens too often.
    #[error("too many openings; wait {} s", .0.as_secs())]
    TooMany(Duration),
    /// Too many openings of everybody together wait.
    #[error("too many openings wait")]
    Full,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandom,
}

/// Why no token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// What cannot be recorded does not happen.
    #[error("{0}")]
    Unrecorded(#[from] Unrecorded),
    /// What could not be ended later is not begun.
    #[error("{0}")]
    Unkept(#[from] LedgerError),
    /// It cannot be written so.
    #[error("{0}")]
    Mint(#[from] MintError),
    /// No hash is made for this account.
    #[error("{0}")]
    Hash(#[from] PandoraRefusal),
}

/// What is to be signed, after everything was looked at.
#[derive(Debug)]
pub struct Granted {
    /// This gateway's id.
    pub gateway: String,
    /// The site's key.
    pub key: SiteKey,
    /// What was asked for.
    pub wanted: Wanted,
    /// The person's session, as [`crate::access::sessions::Live::began_as`] names it.
    pub session: String,
    /// What the site is told of who they are.
    pub actor: String,
    /// How the person logged in.
    pub amr: Amr,
    /// Landing path.
    pub path: String,
    /// The hash that the verifier gave.
    pub state: String,
}

/// All openings of this gateway that are under way. See the module's text.
#[derive(Debug)]
pub struct Openings {
    pending: Mutex<Pending>,
    begun: Mutex<Pace>,
    finished: Mutex<Pace>,
    asked: Mutex<Pace>,
    asked_again: Mutex<Pace>,
    used: Option<Used>,
    ledger: Option<Ledger>,
    unissued: AtomicU64,
    undelivered: AtomicU64,
    errands: tokio::sync::Semaphore,
    witness: Arc<dyn Witness>,
    clock: Clock,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What a panic elsewhere left is whole: every change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Openings {
    /// None yet. Each that is signed or refused is told to the witness.
    pub fn new(witness: Arc<dyn Witness>, clock: Clock) -> Self {
        let of_person = || Mutex::new(Pace::of(OF_PERSON));
        Self {
            pending: Mutex::default(),
            begun: of_person(),
            finished: of_person(),
            asked: Mutex::new(Pace::of(OF_VERIFIER)),
            asked_again: Mutex::new(Pace::of(OF_STATUS)),
            used: None,
            ledger: None,
            unissued: AtomicU64::new(0),
            undelivered: AtomicU64::new(0),
            errands: tokio::sync::Semaphore::new(leaving::AT_ONCE),
            witness,
            clock,
        }
    }

    /// With a store of used tokens, for verifiers that ask.
    #[must_use]
    pub fn with_used(self, used: Arc<dyn UsedTokens>) -> Self {
        Self { used: Some(Used(used)), ..self }
    }

    /// With what was opened from here. Without it nothing is signed.
    #[must_use]
    pub fn with_ledger(self, ledger: Ledger) -> Self {
        Self { ledger: Some(ledger), ..self }
    }

    fn ledger(&self) -> Result<&Ledger, LedgerError> {
        self.ledger.as_ref().ok_or(LedgerError)
    }

    /// Whether one of its files did not work when it was last needed.
    pub fn is_failing(&self) -> bool {
        let used = self.used.as_ref().is_some_and(|used| used.0.is_failing());
        used || self.ledger.as_ref().is_some_and(Ledger::is_failing)
    }

    /// Good tokens that sites asked about and that were never signed here, since the start.
    pub fn unissued(&self) -> u64 {
        self.unissued.load(Ordering::Relaxed)
    }

    /// Ends of sessions that a site could not be told, since the start.
    pub fn undelivered(&self) -> u64 {
        self.undelivered.load(Ordering::Relaxed)
    }

    /// Keeps a pending opening and gives its number: 22 random characters.
    ///
    /// # Errors
    /// Why not.
    pub fn begin(&self, session: &str, wanted: Wanted) -> Result<String, NotNow> {
        let now = self.clock.now();
        locked(&self.begun).step(&wanted.login, now).map_err(NotNow::TooMany)?;
        let number = random_number().map_err(|_| NotNow::NoRandom)?;
        let kept = locked(&self.pending).keep(number.clone(), session, wanted, now);
        if kept { Ok(number) } else { Err(NotNow::Full) }
    }

    /// Looks at a pending opening of this session and site, and leaves it as it is.
    ///
    /// # Errors
    /// There is none that waits.
    pub fn look(&self, number: &str, session: &str, site: &SiteId) -> Result<Wanted, Gone> {
        locked(&self.pending).look(number, session, site, self.clock.now())
    }

    /// Takes a pending opening of this session and site: whoever asks first, and nobody after.
    ///
    /// # Errors
    /// There is none that waits. Of another session or site it stays as it is.
    pub fn take(&self, number: &str, session: &str, site: &SiteId) -> Result<Wanted, Gone> {
        locked(&self.pending).take(number, session, site, self.clock.now())
    }

    /// Counts one that is about to be finished.
    ///
    /// # Errors
    /// This person opens too often.
    pub fn pace(&self, login: &str) -> Result<(), NotNow> {
        locked(&self.finished).step(login, self.clock.now()).map_err(NotNow::TooMany)
    }

    /// Records the opening, durably, and then signs its token. May wait for a disk.
    ///
    /// # Errors
    /// Why there is no token.
    pub fn issue(&self, granted: &Granted) -> Result<Secret, NotIssued> {
        let number = random_number()?;
        let ledger = self.ledger()?;
        let row = self.row(&granted.wanted, &granted.session, &granted.actor);
        self.witness.record(&Event::Issued { told: Told::of(&granted.wanted), number: number.clone() })?;
        ledger.issue(&number, &row)?;
        let new = NewToken {
            gateway: &granted.gateway,
            account: &granted.wanted.account,
            actor: &granted.actor,
            amr: granted.amr,
            path: &granted.path,
            state: &granted.state,
        };
        Ok(mint(&granted.key, &new, &number, self.clock.now())?)
    }

    fn row(&self, wanted: &Wanted, session: &str, actor: &str) -> Row {
        let Wanted { login, site, account, .. } = wanted.clone();
        let (session, actor, at) = (session.to_owned(), actor.to_owned(), self.clock.now().as_secs());
        Row { login, session, site, account, actor, at, asked: false, leaving: false }
    }

    /// Records the opening, durably, and then gives out the console's own hash. `session`: as in [`Granted`]; its logout
    /// names this console. May wait for a disk.
    ///
    /// # Errors
    /// Why there is none.
    pub fn issue_direct(&self, direct: &Direct, wanted: &Wanted, session: &str) -> Result<PandoraLogin, NotIssued> {
        let login = direct.login(&wanted.account)?;
        self.witness.record(&Event::Direct { told: Told::of(wanted), mark: direct.mark().to_owned() })?;
        // The site is told nothing of the person.
        self.ledger()?.opened(&self.row(wanted, session, ""))?;
        Ok(login)
    }

    /// Records that an opening was refused. May wait for a disk.
    ///
    /// # Errors
    /// It is not recorded. Nothing is opened either way.
    pub fn refused(&self, wanted: &Wanted, why: &'static str) -> Result<(), Unrecorded> {
        self.witness.record(&Event::Refused { told: Told::of(wanted), why })
    }
}
