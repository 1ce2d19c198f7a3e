import { tablesOf } from '../schema/index.ts'
import { sqliteWords } from './words.ts'

export const tables = tablesOf(sqliteWords)
