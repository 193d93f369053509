//! What a context takes in memory, for the bound of the queue: a call that waits there holds its context.

use super::{ContextData, Described};
use crate::CorrelationId;
use crate::recorder::size;

impl ContextData {
    /// The texts of this as it was given, and as it is `described`. A context of many calls counts in each.
    pub(super) fn bytes(&self, described: &Described) -> usize {
        let names = [&self.actor, &self.on_behalf_of, &self.site, &self.service];
        let texts = [&self.request_id, &self.session, &self.user_agent, &self.url];
        let correlation = match &self.correlation_id {
            Some(CorrelationId::Text(text)) => text.len(),
            _ => 0,
        };
        size_of::<Self>()
            + names.into_iter().map(size::opt).sum::<usize>()
            + texts.into_iter().map(size::opt).sum::<usize>()
            + correlation
            + self.actor_details.as_ref().map_or(0, |details| details.as_str().len())
            + size::list(&self.extra, |(key, value)| key.len() + value.as_str().len())
            + size::list(&self.cuts, size::truncation)
            + described.members.len()
            + size::list(&described.extra, |(key, json)| key.len() + json.len())
            + described.whole.as_ref().map_or(0, |whole| whole.as_str().len())
            + size::list(&described.cuts, size::truncation)
    }
}
