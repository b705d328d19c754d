// The workflows of `function.js`.
const { proxyActivities } = require('@temporalio/workflow');

const { greet } = proxyActivities({ startToCloseTimeout: '60 s' });
const { nap } = proxyActivities({ startToCloseTimeout: '60 s', heartbeatTimeout: '1 s' });

exports.HelloWorkflow = async (name) => greet(name);
exports.SleepWorkflow = async (millis) => nap(millis);
