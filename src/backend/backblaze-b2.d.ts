/** The part of `backblaze-b2` 1.7.1 that b2-api.ts uses; the package brings no types. */
declare module 'backblaze-b2' {
  /** An axios answer. */
  interface Answer {
    readonly status: number
    readonly headers: Readonly<Record<string, unknown>>
    readonly data: unknown
    readonly request?: unknown
  }
  /** axios settings: `axios` gives way to what the library sets, `axiosOverride` does not. */
  interface Settings {
    readonly axios?: object
    readonly axiosOverride?: object
  }
  class B2 {
    constructor(options: {
      readonly applicationKeyId: string
      readonly applicationKey: string
      readonly retry?: { readonly retries: number }
    })
    authorize(call: Settings): Promise<Answer>
    getBucket(call: Settings & { readonly bucketName: string }): Promise<Answer>
    createBucket(
      call: Settings & { readonly bucketName: string; readonly bucketType: string },
    ): Promise<Answer>
    getUploadUrl(call: Settings & { readonly bucketId: string }): Promise<Answer>
    uploadFile(
      call: Settings & {
        readonly uploadUrl: string
        readonly uploadAuthToken: string
        readonly fileName: string
        readonly data: object
        readonly contentLength: number
        readonly hash: string
        readonly mime: string
      },
    ): Promise<Answer>
    downloadFileByName(
      call: Settings & {
        readonly bucketName: string
        readonly fileName: string
        readonly responseType?: 'stream'
      },
    ): Promise<Answer>
    listFileNames(
      call: Settings & {
        readonly bucketId: string
        readonly prefix: string
        readonly startFileName: string
        readonly maxFileCount: number
      },
    ): Promise<Answer>
    listFileVersions(
      call: Settings & {
        readonly bucketId: string
        readonly startFileName: string
        readonly startFileId: string | undefined
        readonly maxFileCount: number
      },
    ): Promise<Answer>
    hideFile(call: Settings & { readonly bucketId: string; readonly fileName: string }): Promise<Answer>
    deleteFileVersion(
      call: Settings & { readonly fileId: string; readonly fileName: string },
    ): Promise<Answer>
  }
  export = B2
}
