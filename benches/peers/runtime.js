// The Runtime API for `function.js`, with nothing in it that a function does not need. AWS's own client
// (aws-lambda-ric) compiles C++ at its installation and starts more slowly than this.
const http = require('node:http');

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, agent, path: `/2018-06-01/runtime/${path}` };
    const request = http.request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => (text += part));
      response.on('end', () => resolve({ headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function main() {
  const { handler } = require('./function.js');
  for (;;) {
    const { headers } = await call('GET', 'invocation/next');
    const id = headers['lambda-runtime-aws-request-id'];
    const deadline = Number(headers['lambda-runtime-deadline-ms']);
    const context = {
      awsRequestId: id,
      invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      getRemainingTimeInMillis: () => deadline - Date.now(),
    };
    try {
      const result = await handler({}, context);
      await call('POST', `invocation/${id}/response`, JSON.stringify(result ?? null));
    } catch (error) {
      const body = { errorType: error.name, errorMessage: error.message, stackTrace: [] };
      await call('POST', `invocation/${id}/error`, JSON.stringify(body));
    }
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
