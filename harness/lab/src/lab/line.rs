//! One cable, to be cut or impaired in one sentence.

use std::time::Duration;

use super::{BadLine, Lab};
use crate::effective_at::EffectiveAt;
use crate::error::LabError;
use halfopen_net::{Carrier, Direction, ImpairBy, Impairment, Loss};

/// The cable between two nodes, and what shall happen to it: from [`Lab::line`].
#[must_use = "nothing happens to the cable before `impair`, `cut` or `mend`"]
pub struct Line<'a> {
    lab: &'a mut Lab,
    near: String,
    far: String,
    direction: Direction,
    carrier: Carrier,
    impairment: Impairment,
}

impl Lab {
    /// The cable between two nodes.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(lab: &mut halfopen_lab::Lab) -> Result<(), halfopen_lab::LabError> {
    /// // A round trip takes 160 ms longer, and one packet of twenty is lost each way.
    /// let bad = lab.line("client", "router").delay(Duration::from_millis(80)).loss(0.05).impair()?;
    /// lab.heal_impairment(&bad)?;
    /// lab.line("client", "router").cut()?;
    /// lab.line("client", "router").mend()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn line(&mut self, near: &str, far: &str) -> Line<'_> {
        Line {
            lab: self,
            near: near.to_owned(),
            far: far.to_owned(),
            direction: Direction::Both,
            carrier: Carrier::Kept,
            impairment: Impairment::default(),
        }
    }
}

impl Line<'_> {
    /// Only what the first of the two nodes sends ([`Direction::From`]), or gets.
    pub fn only(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// A cut takes the first node's carrier away.
    pub fn without_carrier(mut self) -> Self {
        self.carrier = Carrier::Lost;
        self
    }

    /// Every packet is delivered so much later.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.impairment.delay = Some(delay);
        self
    }

    /// The delay of each packet is between `delay - jitter` and `delay + jitter`.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.impairment.jitter = Some(jitter);
        self
    }

    /// This share of the packets is lost, 0 to 1.
    pub fn loss(mut self, share: f64) -> Self {
        let rate = share;
        self.impairment.loss = Some(Loss { rate, burst: None });
        self
    }

    /// Bits per second, Ethernet headers included.
    pub fn rate(mut self, rate: u64) -> Self {
        self.impairment.rate = Some(rate);
        self
    }

    /// Everything else that an impairment can have.
    pub fn like(mut self, impairment: Impairment) -> Self {
        self.impairment = impairment;
        self
    }

    /// Impairs the line from now on: [`Lab::impair`], by whatever can do it.
    ///
    /// # Errors
    /// As [`Lab::impair`].
    pub fn impair(self) -> Result<BadLine, LabError> {
        let Line {
            lab,
            near,
            far,
            direction,
            impairment,
            ..
        } = self;
        let by = ImpairBy::Auto;
        let (_, bad) = lab.impair(&near, Some(&far), direction, &impairment, by)?;
        Ok(bad)
    }

    /// Cuts the cable: [`Lab::cut`].
    ///
    /// # Errors
    /// As [`Lab::cut`].
    pub fn cut(self) -> Result<EffectiveAt, LabError> {
        let (direction, carrier) = (self.direction, self.carrier);
        self.lab
            .cut(&self.near, Some(&self.far), direction, carrier)
    }

    /// Mends it: [`Lab::mend`].
    ///
    /// # Errors
    /// As [`Lab::mend`].
    pub fn mend(self) -> Result<EffectiveAt, LabError> {
        self.lab.mend(&self.near, Some(&self.far))
    }
}
