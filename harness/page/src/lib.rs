//! Results of halfopen to look at: one HTML file that needs nothing else and no
//! network ([`html`]), and its drawings as SVG files ([`ladder`], [`plot`], [`heat`]).
//!
//! The crate takes values and returns text; it does no I/O. Its numbers and words
//! come from the same types and functions as those of `halfopen-report`, so a page
//! and the JSON of a run cannot disagree.
//!
//! Inside, each module imports only from those before it in this list: `svg`,
//! `axis` (time to position), `ladder`, `plot`, `heat`, `pack` (what the page keeps
//! compressed), `html`.

mod axis;
pub mod heat;
pub mod html;
pub mod ladder;
mod pack;
pub mod plot;
mod svg;
