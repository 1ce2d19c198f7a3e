import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { userInfo } from 'node:os'

/** Ports that take the place of those in the shipped configurations. */
export interface Ports {
  postern: number
  service: number
  gateway: number
}

export interface Gateway {
  name: string
  /** The shipped configuration, below gateways/. */
  configuration: string
  /** The files that it needs to run, and the Debian packages that install them. */
  needs: string[]
  packages: string
  /** Other shipped files that belong into the configuration's folder. */
  otherFiles?: string[]
  /** The delay after which a logout holds. */
  revocation: 'at once' | 'within 2 s' | 'never'
  /** True when it asks /verify, so that Postern decides on preflights. */
  usesVerify: boolean
  /** The refusals that reach the client as a problem document: Postern's own, one that the gateway writes, or none. */
  problems: 'of Postern' | 'of its own' | 'none'
  /** Its status when Postern is down or hangs, and its timeout; undefined when it needs no Postern to verify tokens. */
  whenUnavailable?: { down: number, hanging: number, timeoutSeconds: number }
  /** Writes the main configuration around the shipped one, and returns the command that runs the gateway in the foreground. */
  prepare: (folder: string, configuration: string, ports: Ports) => Promise<string[]>
}

export const FOLDER = fileURLToPath(new URL('..', import.meta.url))
const APACHE_MODULES = '/usr/lib/apache2/modules'

export const gateways: Gateway[] = [
  { name: 'nginx', configuration: 'nginx/postern.conf', revocation: 'at once', usesVerify: true, problems: 'of Postern', whenUnavailable: { down: 503, hanging: 503, timeoutSeconds: 2 }, ...nginx() },
  { name: 'nginx with a cache', configuration: 'nginx/postern-cached.conf', revocation: 'within 2 s', usesVerify: true, problems: 'of Postern', whenUnavailable: { down: 503, hanging: 503, timeoutSeconds: 2 }, ...nginx() },
  { name: 'Caddy', configuration: 'caddy/Caddyfile', revocation: 'at once', usesVerify: true, problems: 'of Postern', whenUnavailable: { down: 502, hanging: 504, timeoutSeconds: 2 }, ...caddy() },
  { name: 'HAProxy with /verify', configuration: 'haproxy/forward-auth.cfg', otherFiles: ['haproxy/postern.lua'], revocation: 'at once', usesVerify: true, problems: 'of Postern', whenUnavailable: { down: 503, hanging: 503, timeoutSeconds: 3 }, ...haproxy() },
  { name: 'HAProxy with jwt_verify', configuration: 'haproxy/jwt-verify.cfg', revocation: 'never', usesVerify: false, problems: 'of its own', ...haproxy() },
  { name: 'Apache with introspection', configuration: 'apache/introspection.conf', otherFiles: ['apache/postern.lua'], revocation: 'at once', usesVerify: false, problems: 'none', whenUnavailable: { down: 401, hanging: 401, timeoutSeconds: 15 }, ...apache() },
  { name: 'Apache with JWKS', configuration: 'apache/jwks.conf', otherFiles: ['apache/postern.lua'], revocation: 'never', usesVerify: false, problems: 'none', ...apache() }
]

/** Copies a shipped file, and fills in the three addresses and other placeholders. */
export async function fillIn (file: string, to: string, { postern, service, gateway }: Ports, words: Record<string, string> = {}) {
  let text = await readFile(join(FOLDER, file), 'utf8')
  text = text.replaceAll(':3000', `:${postern}`).replaceAll(':8000', `:${service}`).replaceAll(':8080', `:${gateway}`)
  for (const [word, value] of Object.entries(words)) text = text.replaceAll(word, value)
  await writeFile(to, text)
}

function nginx () {
  return {
    needs: ['/usr/sbin/nginx'],
    packages: 'nginx',
    async prepare (folder: string, configuration: string) {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`)
      await writeFile(join(folder, 'nginx.conf'), [
        `daemon off; pid ${folder}/pid; user ${userInfo().username}; worker_processes 1;`,
        'events {}',
        `http { access_log off; ${temporary.join(' ')} include ${configuration}; }`
      ].join('\n'))
      return ['/usr/sbin/nginx', '-p', folder, '-e', `${folder}/error.log`, '-c', `${folder}/nginx.conf`]
    }
  }
}

function caddy () {
  return {
    needs: ['/usr/bin/caddy'],
    packages: 'caddy',
    async prepare (folder: string, configuration: string) {
      const main = join(folder, 'main')
      await writeFile(main, `{\n\tadmin off\n}\nimport ${configuration}\n`) // its default port may be taken
      return ['env', `HOME=${folder}`, `XDG_DATA_HOME=${folder}`, `XDG_CONFIG_HOME=${folder}`,
        '/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', main]
    }
  }
}

function haproxy () {
  return {
    needs: ['/usr/sbin/haproxy'],
    packages: 'haproxy',
    async prepare (_folder: string, configuration: string) {
      return ['/usr/sbin/haproxy', '-db', '-f', configuration]
    }
  }
}

function apache () {
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'oauth2', 'headers', 'lua', 'proxy', 'proxy_http', 'rewrite']
  return {
    needs: ['/usr/sbin/apache2', `${APACHE_MODULES}/mod_oauth2.so`],
    packages: 'apache2 and libapache2-mod-oauth2',
    async prepare (folder: string, configuration: string) {
      await writeFile(join(folder, 'apache2.conf'), [
        `ServerRoot ${folder}`,
        `PidFile ${folder}/pid`,
        `DefaultRuntimeDir ${folder}`,
        `ErrorLog ${folder}/error.log`,
        `DocumentRoot ${folder}`,
        'ServerName gateway.test',
        'User www-data', // has no effect unless the test runs as root
        'Group www-data',
        'StartServers 1',
        ...modules.map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`),
        `Include ${configuration}`
      ].join('\n'))
      return ['/usr/sbin/apache2', '-DFOREGROUND', '-f', `${folder}/apache2.conf`]
    }
  }
}
