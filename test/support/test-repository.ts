/** Repositories for tests, made and opened in milliseconds: their keys have the smallest scrypt cost there is. */
import type { Backend } from '../../src/backend/backend.ts'
import { MemoryBackend } from '../../src/backend/memory.ts'
import { Repository, type CreateOptions } from '../../src/repo/repository.ts'

export const TEST_PASSWORD = 'test'
const FAST_SCRYPT = { N: 2, r: 1, p: 1 }

export async function createTestRepository(
  options: Partial<CreateOptions> = {},
): Promise<{ backend: MemoryBackend; repository: Repository }> {
  const backend = new MemoryBackend()
  return { backend, repository: await createTestRepositoryIn(backend, options) }
}

export function createTestRepositoryIn(
  backend: Backend,
  options: Partial<CreateOptions> = {},
): Promise<Repository> {
  return Repository.create(backend, { password: TEST_PASSWORD, scrypt: FAST_SCRYPT, ...options })
}
