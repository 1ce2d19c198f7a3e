import { statSync } from 'node:fs'

export const AS_SERVICE = 'Run the command as the user of the service.'

/** True for a file in a folder that this user may not enter: it would seem to be absent. */
export function isForbidden (path: string): boolean {
  try {
    statSync(path)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES'
  }
}
