//! A pager that rings nobody: the demo shows what it would have said.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    pager::{Call, Pager},
};

/// What a pager was told, in order. A repeated key is the same page, as the port promises.
#[derive(Debug, Default)]
pub struct SilentPager {
    told: Mutex<Told>,
}

#[derive(Debug, Clone, Default)]
struct Told {
    calls: Vec<Call>,
    acknowledged: Vec<String>,
    resolved: Vec<String>,
}

impl SilentPager {
    pub fn calls(&self) -> Vec<Call> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    /// Keys of pages that somebody came to.
    pub fn acknowledged(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).acknowledged.clone()
    }

    /// Keys of pages that were ended.
    pub fn resolved(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).resolved.clone()
    }
}

#[async_trait]
impl Pager for SilentPager {
    async fn page(&self, call: &Call) -> Result<(), Fault> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.calls.iter().any(|earlier| earlier.key == call.key) {
            told.calls.push(call.clone());
        }
        Ok(())
    }

    async fn acknowledge(&self, key: &str) -> Result<(), Fault> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.acknowledged.iter().any(|earlier| earlier == key) {
            told.acknowledged.push(key.to_owned());
        }
        Ok(())
    }

    async fn resolve(&self, key: &str) -> Result<(), Fault> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.resolved.iter().any(|earlier| earlier == key) {
            told.resolved.push(key.to_owned());
        }
        Ok(())
    }

    async fn check(&self) -> Vec<Check> {
        vec![Check::good("pager", "rings nobody: this is the demo's")]
    }
}
