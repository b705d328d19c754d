use temporal_lambda_tests::World;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_async_closure_has_loaded_is_kept_for_the_next_invocation() {
    let world = World::new("closure").await;
    let temporal = world.temporal().await;
    let function = world.add(world.config_with_short_idle("quotes", env!("CARGO_BIN_EXE_closure")));
    for (article, price) in [("bread", 320), ("milk", 95)] {
        let id = world.id(article);
        temporal.start(&world.name, &id, "Quote", article).await;
        temporal.served_by(&function, &id).await;
        assert_eq!(temporal.result(&id).await, price);
    }
    let [environment] = &function.environments()[..] else { panic!("one environment") };
    let log = environment.log();
    let loads = log.iter().filter(|line| line.text.contains("loading the prices")).count();
    assert_eq!(loads, 1);
}
