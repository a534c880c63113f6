/** Saves files whole: by threads where there are any and they can open the file, otherwise on this one. */
import { Chunker } from '../../chunker/chunker.ts'
import { SourceError } from '../../errors.ts'
import type { Id } from '../format/id.ts'
import type { Node } from '../format/tree.ts'
import { Deferred, type Outcome } from './archiver-outcome.ts'
import type { BackupGroup } from './backup-group.ts'
import type { BackupSource, SourceFile, SourceStat } from './backup-source.ts'
import { emptyItemStatistics } from './backup-statistics.ts'
import type { BlobSaver } from './blob-saver.ts'
import { ChunkBuffer } from './chunk-buffer.ts'
import { ContentSaver, type SavedContent } from './content-saver.ts'
import type { Pacer } from './operation.ts'

export interface FileSaverOptions {
  readonly group: BackupGroup
  readonly source: BackupSource
  readonly pacer: Pacer
  readonly blobs: BlobSaver
  readonly saver: ContentSaver | undefined
  readonly onBytes: (bytes: number) => void
  /** The file's node, without content, for what it is now. */
  readonly toNode: (target: string, name: string, stat: SourceStat) => Node
}

/** What becomes of a file whose content is saved. */
export type FinishFile = (node: Node, content: SavedContent) => Node

export class FileSaver {
  readonly #options: FileSaverOptions
  #chunks: ChunkBuffer | undefined
  /** Large files are cut one after the other. */
  #largeFile: Promise<unknown> = Promise.resolve()

  constructor(options: FileSaverOptions) {
    this.#options = options
  }

  /** @param stat what the walk saw; what is saved is what the file is once it is open */
  // oxlint-disable-next-line max-params -- called for every file: an object each would be garbage
  async save(target: string, name: string, stat: SourceStat, finish: FinishFile): Promise<Outcome> {
    const { source, saver, onBytes, toNode } = this.#options
    const fingerprint = source.fingerprint?.(stat)
    if (saver === undefined || fingerprint === undefined || !ContentSaver.isSmall(stat.size))
      return this.#saveInTurn(target, name, finish)
    await saver.ready()
    const node = toNode(target, name, stat)
    const saving = saver.saveSmall(target, stat.size, fingerprint).then((content) => {
      if (content === undefined) return this.#saveHere(target, name, finish)
      onBytes(content.size)
      return finish(node, content)
    })
    return new Deferred(saving)
  }

  /** Folders that threads list are walked at once, but there is one file to cut at a time. */
  #saveInTurn(target: string, name: string, finish: FinishFile): Promise<Outcome> {
    const saving = this.#largeFile.then(() => this.#saveOpened(target, name, finish))
    this.#largeFile = saving.catch(() => undefined)
    return saving
  }

  /** A large file, or one that other threads cannot open. */
  async #saveOpened(target: string, name: string, finish: FinishFile): Promise<Outcome> {
    const { saver, pacer, onBytes, toNode } = this.#options
    if (saver === undefined) return this.#saveHere(target, name, finish)
    const file = this.#open(target)
    const { fd } = file
    if (fd === undefined) {
      file.close()
      return this.#saveHere(target, name, finish)
    }
    try {
      const node = toNode(target, name, file.stat)
      const { saved } = await saver.saveLarge({ ...file, fd }, (bytes) => {
        onBytes(bytes)
        return pacer.isDue ? pacer.pause() : undefined
      })
      return new Deferred(saved.then((content) => finish(node, content)).finally(() => file.close()))
    } catch (error) {
      file.close()
      throw error
    }
  }

  /** Reads and saves a file on this thread. */
  async #saveHere(target: string, name: string, finish: FinishFile): Promise<Node> {
    const file = this.#open(target)
    try {
      const node = this.#options.toNode(target, name, file.stat)
      return finish(node, await this.#saveContent(file))
    } finally {
      file.close()
    }
  }

  #open(target: string): SourceFile {
    const file = this.#options.source.open(target)
    if (file.stat.kind === 'file') return file
    file.close()
    throw new SourceError(`file "${target}" changed type, refusing to archive`)
  }

  async #saveContent(file: SourceFile): Promise<SavedContent> {
    const { blobs, pacer, onBytes } = this.#options
    const item = emptyItemStatistics()
    const content: Id[] = []
    let size = 0
    const chunks = this.#chunkBuffer()
    chunks.reset()
    for (;;) {
      const reading = file.read(chunks.room())
      const length = typeof reading === 'number' ? reading : await reading
      if (length === 0) break
      size += length
      chunks.filled(length)
      onBytes(length)
      for (let chunk = chunks.next(); chunk !== undefined; chunk = chunks.next()) {
        content.push(await blobs.saveData(chunk, item))
      }
      if (pacer.isDue) await pacer.pause()
    }
    const rest = chunks.rest()
    if (rest !== undefined) content.push(await blobs.saveData(rest, item))
    return { content, size, item }
  }

  /** Beside threads several files may be read here at once, but few ever are: those that changed under our eyes. */
  #chunkBuffer(): ChunkBuffer {
    const create = (): ChunkBuffer =>
      new ChunkBuffer(new Chunker(this.#options.group.leader.repository.config.chunkerPolynomial))
    if (this.#options.saver !== undefined) return create()
    this.#chunks ??= create()
    return this.#chunks
  }
}
