// The workflow of `function.js`.
const { proxyActivities } = require('@temporalio/workflow');

const { greet } = proxyActivities({ startToCloseTimeout: '60 s' });

exports.HelloWorkflow = async (name) => greet(name);
