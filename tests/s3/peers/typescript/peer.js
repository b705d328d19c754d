// A TypeScript client and worker with Temporal's own S3 driver, as it comes from npm.
//
// peer.js start QUEUE ID NAME   starts CapitalsWorkflow with a large text; prints its result
// peer.js work QUEUE            serves CapitalsWorkflow until standard input ends
// peer.js store                 stores the payloads that stand on standard input; prints the claims
// peer.js read                  reads the claims that stand on standard input; prints the payloads
const { S3Client } = require('@aws-sdk/client-s3');
const { Client, Connection } = require('@temporalio/client');
const { ExternalStorage, StorageDriverClaim } = require('@temporalio/common');
const { S3StorageDriver } = require('@temporalio/external-storage-s3');
const { AwsSdkS3StorageDriverClient } = require('@temporalio/external-storage-s3-aws-sdk');
const { NativeConnection, Runtime, DefaultLogger, Worker } = require('@temporalio/worker');

const address = process.env.PEER_TEMPORAL_ADDRESS;
const s3 = new S3Client({ endpoint: process.env.PEER_S3_ENDPOINT, forcePathStyle: true });
const driver = new S3StorageDriver({
  client: new AwsSdkS3StorageDriverClient(s3),
  bucket: process.env.PEER_BUCKET,
});
const dataConverter = { externalStorage: new ExternalStorage({ drivers: [driver] }) };

// The same text as in Rust.
const large = (name) => `${name}, and so on. `.repeat(Math.floor(1_000_000 / (name.length + 13)));

async function standardInput() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function start(taskQueue, workflowId, name) {
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, dataConverter });
  const args = [large(name)];
  const handle = await client.workflow.start('CapitalsWorkflow', { args, taskQueue, workflowId });
  console.log('started');
  console.log(JSON.stringify(await handle.result()));
  await connection.close();
}

async function work(taskQueue) {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    dataConverter,
    taskQueue,
    workflowsPath: require.resolve('./workflows'),
    activities: { capitals: async (text) => text.toUpperCase() },
  });
  const running = worker.run();
  console.log('working');
  await standardInput();
  worker.shutdown();
  await running;
  await connection.close();
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const entries = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

async function store() {
  const claims = [];
  for (const { kind, namespace, id, run_id: runId, type, ...rest } of JSON.parse(await standardInput())) {
    const target = kind ? { kind, namespace, id, runId, type } : undefined;
    const metadata = entries(rest.metadata, (value) => encoder.encode(value));
    const payload = { metadata, data: Uint8Array.from(rest.data) };
    const [claim] = await driver.store({ target }, [payload]);
    claims.push(claim.claimData);
  }
  console.log(JSON.stringify(claims));
}

async function read() {
  const results = [];
  for (const claim of JSON.parse(await standardInput())) {
    try {
      const [payload] = await driver.retrieve({}, [new StorageDriverClaim(claim)]);
      const metadata = entries(payload.metadata ?? {}, (value) => decoder.decode(value));
      results.push({ metadata, data: [...(payload.data ?? [])] });
    } catch (error) {
      // What it says is what the test looks at.
      results.push({ error: String(error) });
    }
  }
  console.log(JSON.stringify(results));
}

const [command, ...args] = process.argv.slice(2);
({ start, work, store, read })[command](...args).then(
  // Once what was printed is out: a pipe takes less than a large text at a time.
  () => process.stdout.write('', () => process.exit(0)),
  (error) => {
    console.error(error);
    process.exit(1);
  }
);
