//! Changes of the machine's clock while jobs wait and handlers run.

use super::*;

const HOURS: Duration = Duration::from_secs(2 * 3_600);

fn jumps() -> [Timestamp; 2] {
    [START + HOURS, START - HOURS]
}

#[tokio::test]
async fn a_queued_job_gets_its_handler_even_if_the_clock_changes() {
    for set in jumps() {
        let home = Home::new().await;
        let id = home.accept("stubborn", json!(1)).await;
        home.clock.set(set);
        let pool = home.pool();
        pool.step().await.unwrap();
        pool.idle().await;
        // It failed once, and its backoff of half a second is over.
        home.clock.advance(Duration::from_millis(500));
        pool.step().await.unwrap();
        pool.idle().await;
        let job = home.job(id).await;
        assert_eq!((outcome(&job), job.handler_attempts), (Some(Outcome::Handler), 2), "{set}");
    }
}

#[tokio::test]
async fn an_overdue_job_gets_its_fallback_on_time_even_if_the_clock_changes() {
    for set in jumps() {
        let home = Home::new().await;
        let id = home.accept("unknown", json!(0)).await;
        home.clock.set(set);
        let pool = home.pool();
        home.clock.advance(Duration::from_secs(49));
        let wait = pool.step().await.unwrap();
        assert_eq!(wait, Some(Duration::from_secs(1)));
        home.clock.advance(Duration::from_secs(1));
        pool.step().await.unwrap();
        pool.idle().await;
        let reason = Outcome::Fallback(FallbackReason::NoHandler);
        assert_eq!(outcome(&home.job(id).await), Some(reason), "{set}");
    }
}

/// Sets the clock and takes three seconds.
struct SetsTheClock(ManualClock, Timestamp);

impl Handler for SetsTheClock {
    type Input = Value;

    async fn handle(&self, _: Request<Value>, context: Context) -> Result<Completion, HandlerError> {
        assert_eq!(context.remaining, Duration::from_secs(30));
        assert_eq!(context.deadline, START + Duration::from_secs(30));
        self.0.set(self.1);
        self.0.advance(Duration::from_secs(3));
        Ok(Completion::success())
    }
}

#[tokio::test]
async fn the_duration_of_an_attempt_ignores_clock_changes() {
    for set in jumps() {
        let home = Home::new().await;
        let mut registry = Registry::default();
        let handler = SetsTheClock(home.clock.clone(), set);
        registry.add("sets".parse().unwrap(), handler, HandlerPolicy::default());
        let pool = home.pool_of(registry);
        let id = home.accept("sets", json!(0)).await;
        pool.idle().await;
        let (_, attempts) = home.store.jobs().get(id).await.unwrap().unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!((attempts[0].started_at, attempts[0].duration), (START, Duration::from_secs(3)));
    }
}
