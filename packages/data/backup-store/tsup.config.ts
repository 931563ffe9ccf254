// @boundaries-ignore the shared build settings are no package
export { library as default } from '../../../configs/tooling/tsup.ts';
