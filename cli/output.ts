import type { AuditEvent } from '../plugins/core/database.ts'

const EVENT_HEADS = ['event', 'time', 'kind', 'outcome', 'by', 'account', 'session', 'target', 'ip', 'request', 'details']

const NOT_WRITTEN = 'The output could not be written. What the command changed, it has changed'

/** One thing as it is shown, a column for each member; an absent one is a dash. */
type Row = Array<string | number | null | undefined>

export function print (line: string) {
  console.log(line)
}

/** Ends the command with a sentence for the operator. */
export function refuse (sentence: string): never {
  throw Object.assign(new Error(sentence), { code: 'refused' })
}

/**
 * A table that is printed as its rows come. For a program its columns are separated by tabs and have no heads; in a terminal
 * they have heads, and stand below each other.
 */
export function createTable (heads: string[]) {
  const heading = [heads.map((head) => head.toUpperCase())]

  return (rows: Row[]) => {
    const lines = rows.map((row) => row.map(toCell))
    if (!process.stdout.isTTY) return lines.forEach((cells) => print(cells.join('\t')))

    lines.unshift(...heading.splice(0)) // once
    const widths = heads.map((_, i) => Math.max(...lines.map((cells) => cells[i]!.length))) // every row has a cell for each head
    for (const cells of lines) print(cells.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd())
  }
}

/** A table of audit events. */
export function createEventTable () {
  const add = createTable(EVENT_HEADS)
  return (events: AuditEvent[]) => add(events.map(toRow))
}

function toRow ({ actorKind, actorId, at, details, ...event }: AuditEvent): Row {
  const actor = actorId === null ? actorKind : `${actorKind} ${actorId}`
  const { sequence, event: kind, outcome, subject, session, target, ip, requestId } = event
  return [sequence, toTime(at), kind, outcome, actor, subject, session, target, ip, requestId, details && JSON.stringify(details)]
}

export function toTime (time: number): string {
  return new Date(time).toISOString()
}

/** Without control characters, which a terminal would obey: some of the text is somebody else's. */
function toCell (value: Row[number]): string {
  return String(value ?? '').replaceAll(/\p{Cc}/gu, '?') || '-'
}

/** Watches the standard output. Gives a function that waits until all is written, and makes an exit code 1 where it was not. */
export function watchOutput (stream: NodeJS.WriteStream = process.stdout) {
  let failure: NodeJS.ErrnoException | undefined
  stream.on('error', (error) => { failure ??= error })

  return async (code: number): Promise<number> => {
    await new Promise((resolve) => stream.write('', resolve))
    if (failure === undefined) return code
    if (failure.code !== 'EPIPE') console.error(`${NOT_WRITTEN} (${failure.message}).`) // EPIPE: nobody reads on
    return 1
  }
}
