import { versions } from './bed/bed.js'
import { versionTable } from './versions.js'

versionTable(versions.slice(0, 4))
