export { library as default } from '../../../configs/tooling/tsup.ts';
