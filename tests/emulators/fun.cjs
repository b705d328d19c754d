// Makes a function of @vercel/fun, and invokes it with each line of the standard input.
// Arguments: the folder of the module, and the function's parameters as JSON.

const readline = require('node:readline');

async function main([moduleFolder, parameters]) {
	const { createFunction } = require(moduleFolder);
	const invoke = await createFunction(JSON.parse(parameters));
	for await (const line of readline.createInterface({ input: process.stdin })) {
		const answer = await invoke(JSON.parse(line)).catch((error) => ({ error: String(error) }));
		console.log(`answer: ${JSON.stringify(answer)}`);
	}
	await invoke.destroy();
}

main(process.argv.slice(2));
