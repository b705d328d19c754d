use std::path::PathBuf;

use serde_json::json;
use temporal_lambda_tests::{Invoked as _, World};

#[tokio::test(flavor = "multi_thread")]
async fn each_invocation_has_a_scratch_folder_of_its_own_and_leaves_none() {
    let world = World::new("resource").await;
    let temporal = world.temporal().await;
    let config = world.config_with_short_idle("sort", env!("CARGO_BIN_EXE_resource"));
    let function = world.add(config.env("TMPDIR", world.task_root()));
    let mut folders = Vec::new();
    for number in 0..2 {
        let id = world.id(number);
        temporal.start(&world.name, &id, "Sort", "b\na\nc").await;
        let invocation = temporal.served_by(&function, &id).await.pop().unwrap();
        assert_eq!(invocation.report()["on_shutdown"]["outcome"], "ok");
        let result = temporal.result(&id).await;
        assert_eq!(result[0], json!("a\nb\nc"));
        let file = PathBuf::from(result[1].as_str().unwrap());
        let folder = file.parent().unwrap().to_owned();
        assert_eq!(folder.parent(), Some(world.task_root()));
        let mut invocations = function.invocations().into_iter();
        assert!(invocations.any(|it| folder.ends_with(&it.request_id)), "{}", folder.display());
        assert!(!folder.exists(), "{} is left", folder.display());
        folders.push(folder);
    }
    assert_ne!(folders[0], folders[1]);
    assert_eq!(function.environments().len(), 1, "the second invocation was warm");
}
