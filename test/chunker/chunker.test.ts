import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Chunker, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE } from '../../src/chunker/chunker.ts'
import { SCANNERS } from './scanners.ts'
import { chunkLengths, chunkLengthsInRoom, idHead, plantCut, stream } from './streams.ts'

const MIB = 1 << 20
const FIRST = 0x3da3358b4dc173n
const SECOND = 0x200f31ee63c863n
const FROM_VERSION_1 = 0x249508083d4d99n

const vector = stream('restic-vector', 20 * MIB)

function counters(): Uint8Array {
  const words = new DataView(new ArrayBuffer(3 * 4 * MIB))
  for (let i = 0; i < 3 * MIB; i++) words.setUint32(4 * i, i, true)
  return new Uint8Array(words.buffer)
}

/** Chunks as `length:id`, the form of the specification's table. */
function chunkTable(chunker: Chunker, data: Uint8Array): string[] {
  let start = 0
  return chunkLengths(chunker, data).map((length) => {
    start += length
    return `${length}:${idHead(data.subarray(start - length, start))}`
  })
}

describe.each(SCANNERS)('$name scanner', ({ createScanner }) => {
  const chunker = new Chunker(FIRST, createScanner)

  describe('cuts as restic does', () => {
    it('random data', () => {
      const data = vector.subarray(0, 16 * MIB)
      expect(idHead(data)).toBe('f71032cb')
      expect(chunkTable(chunker, data)).toEqual([
        '6019347:9f5eb549',
        '1482596:1535641f',
        '4086784:d3eb9f60',
        '1066074:5c1352ce',
        '653436:d84d4294',
        '1113232:a3396cfe',
        '1334438:58e5b40a',
        '1021309:2e1ceb28',
      ])
    })

    it('random data with another polynomial', () => {
      const data = vector
      expect(idHead(data)).toBe('ad5afaa1')
      expect(chunkTable(new Chunker(SECOND, createScanner), data)).toEqual([
        '2041207:a6fadb86',
        '910303:04bba5e7',
        '1204336:cf346685',
        '1462079:0178a800',
        '2567016:7cb76ba2',
        '1089017:41f61c5c',
        '1093964:64aeeb8c',
        '1334094:133c1a17',
        '1339820:662d6109',
        '1852033:5cd80f86',
        '1159082:7f21f524',
        '4918569:da1d601a',
      ])
      expect(chunkTable(new Chunker(FROM_VERSION_1, createScanner), data).slice(0, 3)).toEqual([
        '2036595:bc1b2014',
        '600502:e5a35271',
        '1104083:c3b3cb20',
      ])
    })

    it('counters', () => {
      const data = counters()
      expect(idHead(data)).toBe('0dbb9a09')
      expect(chunkTable(chunker, data)).toEqual([
        '1962181:1cca5475',
        '1666085:7ddcd911',
        '616576:1fdaad81',
        '847061:cc9c5a70',
        '915412:7f26708e',
        '3336052:15cddc1f',
        '1149440:9c25d105',
        '1678435:c530a448',
        '411670:f1bea774',
      ])
    })

    it('one letter over and over', () => {
      const data = new Uint8Array(20 * MIB).fill(0x61)
      expect(idHead(data)).toBe('48b6fb8f')
      expect(chunkTable(chunker, data)).toEqual(['8388608:ad97f870', '8388608:ad97f870', '4194304:299285fc'])
    })

    it('zeros', () => {
      const data = new Uint8Array(3 * MIB + 5)
      expect(idHead(data)).toBe('be586030')
      const whole = Array<string>(6).fill('524288:07854d2f')
      expect(chunkTable(chunker, data)).toEqual([...whole, '5:8855508a'])
    })

    it('data around the minimum', () => {
      expect(chunkTable(chunker, vector.subarray(0, MIN_CHUNK_SIZE - 1))).toEqual(['524287:bc884c32'])
      expect(chunkTable(chunker, vector.subarray(0, MIN_CHUNK_SIZE))).toEqual(['524288:71045e3d'])
    })
  })

  it.each([MIB, MIB - 1, 65_536, 300_007, 1000])(
    'cuts alike what is read into its room, %i bytes a time',
    (slice) => {
      const data = slice < 10_000 ? vector.subarray(0, 8 * MIB) : vector
      expect(chunkLengthsInRoom(chunker, data, slice)).toEqual(chunkLengths(chunker, data))
      const zeros = new Uint8Array(2 * MIB + 70)
      expect(chunkLengthsInRoom(chunker, zeros, slice)).toEqual(chunkLengths(chunker, zeros))
    },
  )

  it('cuts alike what is read into its room in turn with another chunker, and with memory of its own', () => {
    const other = new Chunker(SECOND, createScanner)
    const data = vector.subarray(0, 8 * MIB)
    const expected = [chunkLengths(chunker, data), chunkLengths(other, data)]
    const found: number[][] = [[], []]
    const starts = [0, 0]
    for (const each of [chunker, other]) each.reset()
    for (let position = 0, turn = 0; position < data.length; position += 100_000, turn++) {
      for (const [i, each] of [chunker, other].entries()) {
        const piece = data.subarray(position, position + 100_000)
        const isInRoom = (turn + i) % 3 > 0
        if (isInRoom) each.room.set(piece)
        for (let from = 0; from < piece.length;) {
          const cut = each.next(isInRoom ? each.room : piece, from, piece.length)
          if (cut >= 0) found[i]!.push(position + cut - starts[i]!)
          if (cut >= 0) starts[i] = position + cut
          from = cut < 0 ? piece.length : cut
        }
      }
    }
    expect(found).toEqual(expected.map((lengths) => lengths.slice(0, -1)))
  })

  describe('limits', () => {
    it('says nothing about nothing', () => {
      chunker.reset()
      expect(chunker.next(new Uint8Array(10), 4, 4)).toBe(-1)
    })

    it.each([-2, -1, 0, 1, 2])('cuts at the minimum %i, if from there on', (offset) => {
      const data = stream('minimum', MIN_CHUNK_SIZE + 1000)
      plantCut(data, MIN_CHUNK_SIZE + offset, FIRST)
      const cut = MIN_CHUNK_SIZE + offset
      expect(chunkLengths(chunker, data)).toEqual(offset < 0 ? [data.length] : [cut, data.length - cut])
    })

    it.each([-1, 0, 1])('cuts at the maximum %i, if up to there', (offset) => {
      // Bytes without a cut point of their own.
      const data = new Uint8Array(MAX_CHUNK_SIZE + 100).fill(0x61)
      plantCut(data, MAX_CHUNK_SIZE + offset, FIRST)
      const cut = MAX_CHUNK_SIZE + Math.min(0, offset)
      expect(chunkLengths(chunker, data)).toEqual([cut, data.length - cut])
    })

    it.each([-1, 0, 1])('takes data that ends at the maximum %i', (offset) => {
      chunker.reset()
      const data = new Uint8Array(MAX_CHUNK_SIZE + offset).fill(0x61)
      expect(chunker.next(data, 0, data.length)).toBe(offset < 0 ? -1 : MAX_CHUNK_SIZE)
    })
  })

  describe('slices', () => {
    const data = stream('slices', 3 * MIB)
    const cuts = [600_000, 600_000 + MIN_CHUNK_SIZE, 2_500_000]
    for (const cut of cuts) plantCut(data, cut, FIRST)
    const whole = chunkLengths(chunker, data)

    it('has cuts to lose', () => {
      expect(whole.length).toBeGreaterThanOrEqual(4)
      expect(whole.slice(0, 2)).toEqual([600_000, MIN_CHUNK_SIZE])
    })

    it.each([1, 63, 64, 65, 4096, 65_535, 65_536, 65_537, MIN_CHUNK_SIZE])('of %i bytes', (slice) => {
      // Byte by byte over all would take long: past the first cut is enough.
      const part = slice === 1 ? data.subarray(0, 620_000) : data
      const expected = slice === 1 ? chunkLengths(chunker, part) : whole
      expect(chunkLengths(chunker, part, slice)).toEqual(expected)
    })

    it('of any lengths around the places that matter change nothing', () => {
      const starts = whole.map((_, i) => whole.slice(0, i).reduce((sum, length) => sum + length, 0))
      const place = fc
        .tuple(
          fc.constantFrom(...starts),
          fc.constantFrom(0, MIN_CHUNK_SIZE - 64, MIN_CHUNK_SIZE),
          fc.nat(200),
        )
        .map(([chunk, offset, before]) => Math.max(0, chunk + offset - before))
      const short = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 130 }))
      fc.assert(
        fc.property(place, fc.array(short, { maxLength: 40 }), fc.nat(64), (first, slices, skew) => {
          expect(chunkLengthsOfSlices([first, ...slices, data.length], skew)).toEqual(whole)
        }),
      )
    })

    /** Lengths of the chunks where slices come in these lengths, each in memory of its own, at some offset. */
    function chunkLengthsOfSlices(slices: readonly number[], skew: number): number[] {
      const lengths: number[] = []
      let chunk = 0
      let start = 0
      chunker.reset()
      for (const slice of slices) {
        const end = Math.min(data.length, start + slice)
        const memory = new Uint8Array(skew + end - start)
        memory.set(data.subarray(start, end), skew)
        for (let at = skew; at < memory.length;) {
          const cut = chunker.next(memory, at, memory.length)
          const next = cut >= 0 ? cut : memory.length
          chunk += next - at
          at = next
          if (cut >= 0) {
            lengths.push(chunk)
            chunk = 0
          }
        }
        start = end
      }
      return chunk > 0 ? [...lengths, chunk] : lengths
    }

    it('are forgotten by reset', () => {
      chunker.reset()
      chunker.next(data, 0, 599_999)
      expect(chunkLengths(chunker, data)).toEqual(whole)
    })
  })
})
