//! Effects without what they need, which only a bug can bring about: they end the invocation at once.

use crate::driver::Message;
use crate::error::Fault;
use crate::lifecycle::{Effect, Input};

use super::driven::Host;
use super::scripted_invocation::ScriptedInvocation;

#[tokio::test(start_paused = true)]
async fn an_effect_without_what_it_needs_ends_the_invocation_at_once() {
    for effect in [
        Effect::Connect,
        Effect::CreateWorker,
        Effect::OnStart,
        Effect::Poll,
        Effect::HoldPolls,
        Effect::StopWorker,
        Effect::Finalize,
    ] {
        let mut driver = Host::new().await.prepare(&ScriptedInvocation::good()).driver;
        driver.perform(effect);
        let said = driver.inbox.try_recv();
        let Ok(Message::Input(Input::Failed(Fault::Internal { what }))) = said else {
            panic!("{effect:?} passes in silence")
        };
        assert!(what.starts_with(&format!("{effect:?} without")), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn configure_is_not_begun_twice() {
    let mut driver = Host::new().await.prepare(&ScriptedInvocation::good()).driver;
    driver.perform(Effect::Configure);
    assert!(driver.inbox.try_recv().is_err());
    driver.perform(Effect::Configure);
    let said = driver.inbox.try_recv();
    assert!(matches!(said, Ok(Message::Input(Input::Failed(Fault::Internal { .. })))));
}
