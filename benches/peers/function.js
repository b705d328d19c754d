// The TypeScript side of the comparison: the example `hello` on Temporal's own Lambda worker.
const path = require('node:path');
const { Context } = require('@temporalio/activity');
const { runWorker } = require('@temporalio/lambda-worker');

const HEARTBEAT = 200;

async function greet(name) {
  return `Hello, ${name}!`;
}

async function nap(millis) {
  const context = Context.current();
  const end = Date.now() + millis;
  for (let left = millis; left > 0; left = end - Date.now()) {
    context.heartbeat();
    await context.sleep(Math.min(left, HEARTBEAT));
  }
  return context.info.attempt;
}

exports.handler = runWorker(
  {
    deploymentName: process.env.TEMPORAL_LAMBDA_DEPLOYMENT_NAME,
    buildId: process.env.TEMPORAL_LAMBDA_BUILD_ID,
  },
  (config) => {
    // Bundled beforehand by `bundle.js`, as its documentation advises: webpack at a cold start takes seconds.
    config.workerOptions.workflowBundle = { codePath: path.join(__dirname, 'bundle.out.js') };
    config.workerOptions.activities = { greet, nap };
  },
);
