// A page over HTTP: node server.js, then open the address it prints. The page is page/index.html.
import { createServer } from 'detail-guidance/server';

const port = Number(process.env.PORT ?? 7860);
const server = createServer({ page: 'page', port, logLevel: 'warn' });
process.stdout.write(`listening on ${await server.listen()}\n`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close());
