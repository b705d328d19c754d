// The workflow of the worker. Its names are those of the Rust function.
const { proxyActivities } = require('@temporalio/workflow');

const { capitals } = proxyActivities({ startToCloseTimeout: '30 seconds' });

async function CapitalsWorkflow(text) {
  return await capitals(text);
}

module.exports = { CapitalsWorkflow };
