// The TypeScript side of the comparison: the example `hello` on Temporal's own Lambda worker.
const path = require('node:path');
const { runWorker } = require('@temporalio/lambda-worker');

exports.handler = runWorker(
  {
    deploymentName: process.env.TEMPORAL_LAMBDA_DEPLOYMENT_NAME,
    buildId: process.env.TEMPORAL_LAMBDA_BUILD_ID,
  },
  (config) => {
    // Bundled beforehand by `bundle.js`, as its documentation advises: webpack at a cold start takes seconds.
    config.workerOptions.workflowBundle = { codePath: path.join(__dirname, 'bundle.out.js') };
    config.workerOptions.activities = { greet: async (name) => `Hello, ${name}!` };
  },
);
