import type { CopyProgress } from '../plugins/core/database.ts'

const SHOWN_EVERY_MILLISECONDS = 100

/** A line that tells how far a copy is, in a terminal; nothing elsewhere. */
export function createProgressLine (stream: NodeJS.WriteStream = process.stderr) {
  let shown: { step?: string, at: number } = { at: 0 }

  const show: CopyProgress = (step, rows, all) => {
    const at = performance.now()
    if (!stream.isTTY || (step === shown.step && at - shown.at < SHOWN_EVERY_MILLISECONDS)) return
    shown = { step, at }
    stream.write(`\r\u001b[K${step} ${rows.toLocaleString('en')} of ${all.toLocaleString('en')} rows`)
  }

  return {
    show,
    /** Takes the line away again. */
    clear () { if (shown.step) stream.write('\r\u001b[K') }
  }
}
