/** An S3-compatible store on this machine, that can be stopped and started again. */
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';

/** The one bucket that it has. */
export const bucket = 'pictures';

// CommonJS without types; only these tests need it.
const S3rver = createRequire(__filename)('s3rver') as new (options: object) => {
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
};

/** What the AWS client reads. */
export const s3Environment = (port: number) => ({
  AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'S3RVER',
  AWS_SECRET_ACCESS_KEY: 'S3RVER',
});

export class S3 {
  #server: InstanceType<typeof S3rver> | null = null;
  #port = 0;

  constructor(private readonly directory: string) {}

  /** Its port, the same every time. */
  async start(): Promise<number> {
    const configureBuckets = [{ name: bucket, configs: [] }];
    this.#server = new S3rver({ port: this.#port, silent: true, directory: this.directory, configureBuckets });
    ({ port: this.#port } = await this.#server.run());
    return this.#port;
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = null;
  }
}
