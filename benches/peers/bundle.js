// Makes `bundle.out.js` of `workflows.js`.
const fs = require('node:fs');
const path = require('node:path');
const { bundleWorkflowCode } = require('@temporalio/worker');

bundleWorkflowCode({ workflowsPath: path.join(__dirname, 'workflows.js') }).then(({ code }) =>
  fs.writeFileSync(path.join(__dirname, 'bundle.out.js'), code),
);
